"""False alarms for OPERATING.md: whole runs of the gate with nothing changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from initcheck.error_rates import rates, ways
from initcheck.error_rates.runs import Run

Row = Sequence[object]


@dataclass(frozen=True)
class Clean:
    """Whole runs with nothing changed.

    Attributes:
        green: runs whose exit code was 0.
        bound: upper 95 % confidence bound of the share of runs that are not green.
        more: green runs that are missing until that bound is ``goal``.
        goal: the share of runs that may be false alarms.
        rows: table rows: aspect of a way, choice, its share of the mixture, runs, green, bound.
        red: of each run that was not green, its command, its way, exit code, and its red claims
            with the reasons.
        farthest: the largest r of all arms in all runs, with claim and arm; None if no run has one.
        interruptions: runs that were interrupted and repeated.
    """

    runs: int
    green: int
    bound: float
    more: int
    goal: float
    rows: Sequence[Row]
    red: Sequence[tuple[str, str, int | None, Sequence[tuple[str, str]]]]
    farthest: tuple[str, str, str] | None
    interruptions: int


def of(runs: Sequence[Run]) -> Clean | None:
    """The rate of false alarms of these clean runs; None if there are none."""
    if not runs:
        return None
    red = [run for run in runs if not is_green(run)]
    return Clean(
        runs=len(runs), green=len(runs) - len(red),
        bound=rates.upper_bound(len(red), len(runs)),
        more=rates.more_runs(len(red), len(runs)), goal=rates.BOUND,
        rows=_rows(runs), red=[_red(run) for run in red],
        farthest=_farthest(runs),
        interruptions=sum(run.interruptions for run in runs),
    )  # fmt: skip


def is_green(run: Run) -> bool:
    """Whether pytest ended with 0 and no claim was red."""
    return run.exit == 0 and not run.red


def _farthest(runs: Sequence[Run]) -> tuple[str, str, str] | None:
    distances = [
        (r, claim, arm) for run in runs for claim, arms in run.arms.items()
        for arm, r in arms.items() if r is not None
    ]  # fmt: skip
    r, claim, arm = max(distances, default=(None, "", ""))
    return None if r is None else (rates.rounded(r), claim, arm)


def _rows(runs: Sequence[Run]) -> list[Row]:
    """One row per choice of each aspect, in the order of the mixture."""
    rows: list[Row] = []
    for aspect, choices in ways.MIXTURE.items():
        for choice, share in choices.items():
            chosen = [run for run in runs if run.way.get(aspect) == choice]
            green = sum(map(is_green, chosen))
            bound = rates.upper_bound(len(chosen) - green, len(chosen))
            shown = f"{bound:.1%}" if chosen else "-"
            rows.append([aspect, choice, f"{share}%", len(chosen), green, shown])
    return rows


def _red(run: Run) -> tuple[str, str, int | None, Sequence[tuple[str, str]]]:
    command = ways.shown(run.way, run.number or 0, run.salt) if run.way else run.salt
    reasons = [
        (f"{claim} {run.claims[claim]}", run.why.get(claim, "no reason was kept"))
        for claim in run.red
    ]
    return command, ", ".join(run.way.values()), run.exit, reasons
