"""Seeded faults: each breaks one thing for a while, and names the claims that must notice.

A fault is bound beforehand: to the claims it names in ``kills``, and to each claim whose entry in
limits.toml names it. A gate that stays green under a fault has missed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from initcheck.baselines.limits import LimitEntry
from initcheck.faults import (
    arithmetic,
    harness,
    independent,
    optimizers,
    structured,
)
from initcheck.faults.fault import Fault

__all__ = ["FAULTS", "Fault", "bound", "find", "missing", "unbound"]

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for part in (independent, structured, optimizers, arithmetic, harness)
    for fault in part.FAULTS
}

Limits = Mapping[str, Mapping[str, LimitEntry]]


def find(name: str) -> Fault:
    """A fault by name.

    Raises:
        ValueError: there is none of that name; the nearest are named.
    """
    if name not in FAULTS:
        near = get_close_matches(name, FAULTS, n=3) or sorted(FAULTS)
        raise ValueError(f"there is no fault {name!r}. Did you mean {' or '.join(near)}?")
    return FAULTS[name]


def bound(limits: Limits) -> dict[str, tuple[str, ...]]:
    """For each fault the claims that must die of it, those that have limits, sorted."""
    named = {
        (entry.fault, claim) for claim, probes in limits.items() for entry in probes.values()
    } | {(fault.name, claim) for fault in FAULTS.values() for claim in fault.kills}
    return {
        name: tuple(sorted(claim for fault, claim in named if fault == name and claim in limits))
        for name in FAULTS
    }


def missing(limits: Limits) -> dict[str, tuple[str, ...]]:
    """Faults that limits.toml names and nobody has written, with the claims that name them."""
    found: dict[str, set[str]] = {}
    for claim, probes in limits.items():
        for entry in probes.values():
            if entry.fault not in FAULTS:
                found.setdefault(entry.fault, set()).add(claim)
    return {fault: tuple(sorted(claims)) for fault, claims in sorted(found.items())}


def unbound(limits: Limits) -> tuple[str, ...]:
    """Faults that no claim watches for yet."""
    return tuple(name for name, claims in bound(limits).items() if not claims)
