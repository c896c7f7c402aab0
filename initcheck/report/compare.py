"""Several runs next to each other: their verdicts, and how far each arm has moved."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from initcheck.report import formatting, terminal
from initcheck.results import SIDES, ClaimResult, Comparison, Drift, Run

Key = tuple[str, str]  # a comparison's title and a side

# Means that are closer count as equal: another torch release rounds differently on every seed, so
# a strict comparison would show every arm.
DEVIATIONS, RELATIVE = 0.01, 1e-3  # recorded standard deviations; or, without them, of the value


@dataclass(frozen=True)
class Shift:
    """How far an arm's mean is above that of the first run that has the arm."""

    text: str
    differs: bool


def compare(*named_runs: tuple[str, Run], everything: bool = False) -> str:
    """A table with a column per run, from pairs of a name and a run.

    The head gives the versions of each run. The table has the claims that differ, in their verdict
    or in the mean of an arm, with a line per arm that differs: how far its mean is above that of
    the first run, in recorded standard deviations (``s``), or in the probe's unit if there is no
    recorded deviation or the two runs have theirs on different scales. Then come the claims that
    are not in all runs, and how many agree.

    Args:
        named_runs: the runs.
        everything: whether claims and arms that agree are in the table too.
    """
    names = [name for name, _ in named_runs]
    runs = [{result.id: result for result in run.results} for _, run in named_runs]
    claims = list(dict.fromkeys(claim for run in runs for claim in run))
    shown = [row for claim in claims for row in _rows(claim, runs, everything=everything)]
    return "\n".join(
        [
            *(f"{name}: {_versions(run)}" for name, run in named_runs),
            "",
            *(formatting.aligned([["claim", *names], *shown]) if shown else []),
            *[""] * bool(shown),
            *_partial(claims, names, runs),
            _count(claims, runs),
        ]
    )


def _versions(run: Run) -> str:
    environment = run.environment
    devices = ", ".join(map(terminal.device, environment.devices))
    return f"torch {environment.torch}, python {environment.python}, {devices}"


def _rows(
    claim: str, runs: Sequence[Mapping[str, ClaimResult]], *, everything: bool
) -> Iterator[list[str]]:
    """The claim's verdict in each run, and a row per arm that differs; nothing if all agree."""
    results = [run.get(claim) for run in runs]
    arms = [_arms(result) if result else {} for result in results]
    rows = []
    for title, side in dict.fromkeys(key for of_run in arms for key in of_run):
        probes = [of_run.get((title, side)) for of_run in arms]
        first = next(place for place, probe in enumerate(probes) if probe is not None)
        shifts = [
            None
            if probe is None
            else _shift(None if place == first else probes[first], probe, side)
            for place, probe in enumerate(probes)
        ]
        lacking = any(result and not shift for result, shift in zip(results, shifts, strict=True))
        if everything or lacking or any(shift and shift.differs for shift in shifts):
            cells = ["-" if shift is None else shift.text for shift in shifts]
            rows.append([f"  {title}{', control' * (side == 'control')}", *cells])
    verdicts = [result.verdict if result else "-" for result in results]
    if everything or rows or len(set(verdicts)) > 1:
        yield [claim, *verdicts]
    yield from rows


def _arms(result: ClaimResult) -> dict[Key, Comparison]:
    return {(probe.title, side): probe for probe in result.probes for side in SIDES}


def _shift(first: Comparison | None, probe: Comparison, side: str) -> Shift:
    """How far an arm's mean is above the first run's: ``+2.1 s``, or in its unit.

    Without a first one this is the first run, of which the mean is shown.
    """
    after = _mean(probe.values(side))
    if first is None:
        return Shift(formatting.number(after), differs=False)
    before = _mean(first.values(side))
    was, now = first.drift.get(side), probe.drift.get(side)
    std = (was and was.recorded_std) or (now and now.recorded_std)
    scales = {_scale(was), _scale(now)}  # recorded again, an arm may have another
    if len(scales) == 1 and std:
        pair = (before, after)
        if scales != {None}:  # the deviation is on that scale, so the means must be
            pair = (_recorded_scale_mean(was), _recorded_scale_mean(now))
        deviations = (pair[1] - pair[0]) / std
        if not math.isnan(deviations):
            return Shift(f"{_signed(deviations)} s", differs=abs(deviations) >= DEVIATIONS)
    same = before == after or math.isclose(before, after, rel_tol=RELATIVE)
    same = same or (math.isnan(before) and math.isnan(after))
    return Shift(f"{_signed(after - before)} {probe.unit}".rstrip(), differs=not same)


def _scale(drift: Drift | None) -> str | None:
    """The scale of an arm's recorded deviation; ranks have that of the values."""
    name = drift.transform if drift else None
    return "identity" if name == "ranks" else name


def _recorded_scale_mean(drift: Drift | None) -> float:
    return math.nan if drift is None or drift.mean is None else drift.mean


def _mean(values: Sequence[float]) -> float:
    """NaN if there is none: of no values, and of infinities of both signs."""
    try:
        return statistics.fmean(values) if values else math.nan
    except ValueError:
        return math.nan


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + formatting.number(value)


def _partial(
    claims: Sequence[str], names: Sequence[str], runs: Sequence[Mapping[str, ClaimResult]]
) -> Iterator[str]:
    """A line for each claim that is not in all runs."""
    for claim in claims:
        having = [name for name, run in zip(names, runs, strict=True) if claim in run]
        if len(having) < len(names):
            yield f"only in {', '.join(having)}: {claim}"


def _count(claims: Sequence[str], runs: Sequence[Mapping[str, ClaimResult]]) -> str:
    common = [claim for claim in claims if all(claim in run for run in runs)]
    differing = [claim for claim in common if any(_rows(claim, runs, everything=False))]
    verdicts = [claim for claim in common if len({run[claim].verdict for run in runs}) > 1]
    return (
        f"{len(common)} claims in all {len(runs)} files: {len(common) - len(differing)} agree, "
        f"{len(differing)} differ, {len(verdicts)} of them in the verdict"
    )
