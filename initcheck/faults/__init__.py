"""Seeded faults: each breaks one thing within a ``with`` block and names the claims that notice.

A fault is bound beforehand to the claims in its ``kills``, to those whose hypothesis it takes away,
and to each claim whose entry in limits.toml names it. A gate that stays green under a fault has
missed it.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Protocol

from initcheck.faults import (
    arithmetic,
    copies,
    counterexamples,
    harness,
    hypotheses,
    independent,
    laws,
    optimizers,
    rates,
    structured,
    transformers,
)
from initcheck.faults.fault import Fault

__all__ = ["FAULTS", "Fault", "bound", "find", "unbound"]

MODULES = (
    independent,
    structured,
    optimizers,
    arithmetic,
    harness,
    counterexamples,
    copies,
    rates,
    transformers,
    laws,
)
FAULTS: dict[str, Fault] = {fault.name: fault for module in MODULES for fault in module.FAULTS}

HINT = "`initcheck explain CLAIM` names those that a claim must notice."


class NamesFault(Protocol):
    """A limit, of which only the fault matters here that its claim must notice."""

    @property
    def fault(self) -> str:
        """The name of the fault."""


Limits = Mapping[str, Mapping[str, NamesFault]]  # by claim, then by probe


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


def bound(limits: Limits) -> dict[str, tuple[str, ...]]:
    """For each fault the claims, sorted, that must fail under it and that have limits."""
    named = {(entry.fault, claim) for claim, probes in limits.items() for entry in probes.values()}
    named |= {(fault.name, claim) for fault in FAULTS.values() for claim in fault.kills}
    named |= {(each.fault, claim) for each in hypotheses.HYPOTHESES for claim in each.claims}
    return {
        name: tuple(sorted(claim for fault, claim in named if fault == name and claim in limits))
        for name in FAULTS
    }


def unbound(limits: Limits) -> tuple[str, ...]:
    """Faults that are bound to no claim."""
    return tuple(name for name, claims in bound(limits).items() if not claims)
