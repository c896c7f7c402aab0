"""Seeded faults: each breaks one thing within a ``with`` block and names the claims that notice.

A fault is bound beforehand to the claims in its ``kills``, to those whose hypothesis it takes away,
and to each claim whose entry in limits.toml names it. A gate that stays green under a fault has
missed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from initcheck.baselines.evidence import BaselineError
from initcheck.baselines.limits import LimitEntry
from initcheck.faults import (
    arithmetic,
    counterexamples,
    harness,
    hypotheses,
    independent,
    optimizers,
    structured,
)
from initcheck.faults.fault import Fault

__all__ = ["FAULTS", "Fault", "bound", "find", "missing", "refuse_unknown", "unbound"]

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for module in (independent, structured, optimizers, arithmetic, harness, counterexamples)
    for fault in module.FAULTS
}

HINT = "`initcheck explain CLAIM` names those that a claim must notice."

Limits = Mapping[str, Mapping[str, LimitEntry]]


def find(name: str) -> Fault:
    """A fault by name.

    Raises:
        ValueError: no fault has that name; the message names the nearest ones.
    """
    if name not in FAULTS:
        near = get_close_matches(name, FAULTS, n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else HINT
        raise ValueError(f"There is no fault {name!r}. {hint}")
    return FAULTS[name]


def refuse_unknown(limits: Limits, file: Path) -> None:
    """Refuse limits that name a fault which does not exist, as no run can seed it.

    Raises:
        BaselineError: the message names the first such limit in this file.
    """
    for claim, probes in limits.items():
        for entry in probes.values():
            try:
                find(entry.fault)
            except ValueError as error:
                raise BaselineError(f"{file}: [{claim}.{entry.probe}]: {error}") from None


def bound(limits: Limits) -> dict[str, tuple[str, ...]]:
    """For each fault the claims, sorted, that must fail under it and that have limits."""
    named = {(entry.fault, claim) for claim, probes in limits.items() for entry in probes.values()}
    named |= {(fault.name, claim) for fault in FAULTS.values() for claim in fault.kills}
    named |= {(each.fault, claim) for each in hypotheses.HYPOTHESES for claim in each.claims}
    return {
        name: tuple(sorted(claim for fault, claim in named if fault == name and claim in limits))
        for name in FAULTS
    }


def missing(limits: Limits) -> dict[str, tuple[str, ...]]:
    """Faults that limits.toml names and that do not exist, with the claims that name them."""
    unknown: dict[str, set[str]] = {}
    for claim, probes in limits.items():
        for entry in probes.values():
            if entry.fault not in FAULTS:
                unknown.setdefault(entry.fault, set()).add(claim)
    return {fault: tuple(sorted(claims)) for fault, claims in sorted(unknown.items())}


def unbound(limits: Limits) -> tuple[str, ...]:
    """Faults that are bound to no claim."""
    return tuple(name for name, claims in bound(limits).items() if not claims)
