"""Several runs next to each other: their verdicts, and how far each arm has moved."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from initcheck.report import about, formatting
from initcheck.results import SIDES, ClaimResult, Comparison, Drift, Run

LONG_NAME = 20  # characters; longer names of runs would make the columns too wide
Key = tuple[str, str]  # a comparison's title and a side

LEGEND = (
    "Below: the mean over seeds in the first run, then how far it is above that in the others; "
    "sd = recorded standard deviations."
)

# Means that are closer count as equal: another torch release rounds differently on every seed, so
# a strict comparison would show every arm.
DEVIATIONS, RELATIVE = 0.01, 1e-3  # recorded standard deviations; or, without them, of the value


@dataclass(frozen=True)
class Shift:
    """How far an arm's mean is above that of the first run that has the arm."""

    text: str
    differs: bool


def compare(*named_runs: tuple[str, Run], everything: bool = False, columns: int = 10_000) -> str:
    """A table with a column per run, from pairs of a name and a run.

    The head gives the versions of each run and the settings in which they differ. The table has the
    claims that differ, in their verdict or in the mean of an arm, with a line per arm that differs:
    how far its mean is above that of the first run, in recorded standard deviations (``sd``), or in
    the probe's unit if there is no recorded deviation or the two runs have theirs on different
    scales. Then come the claims that are not in all runs, and how many agree.

    Args:
        named_runs: the runs.
        everything: whether claims and arms that agree are in the table too.
        columns: width of the table, in characters.
    """
    names = [name for name, _ in named_runs]
    if max(map(len, names)) > LONG_NAME:
        names = [f"run {number}" for number in range(1, len(names) + 1)]
    by_id = [{result.id: result for result in run.results} for _, run in named_runs]
    claims = list(dict.fromkeys(claim for run in by_id for claim in run))
    labelled = [(name, run) for name, (_, run) in zip(names, named_runs, strict=True)]
    reseeded = about.differing(labelled, about.DRAWING)
    rows = [
        row for claim in claims
        for row in _rows(claim, by_id, everything=everything, same_seeds=not reseeded)
    ]  # fmt: skip
    table = formatting.aligned([["claim", *names], *rows], columns=columns) if rows else []
    head = [
        *map(_head, names, named_runs),
        *about.differing(labelled),
        *["The runs draw other seeds, so their means differ by chance, too."] * bool(reseeded),
        "",
        *[LEGEND, ""] * bool(table),
    ]
    lines = [
        *(
            part
            for line in head  # names of files stay whole, so that they can be copied
            for part in formatting.folded(line, columns, break_words=False) or [""]
        ),
        *table,
        *[""] * bool(table),
        *_partial(claims, names, by_id),
        _count(claims, by_id),
    ]
    return "\n".join(lines)


def _head(label: str, named_run: tuple[str, Run]) -> str:
    """A run's label, its name if that is another, and its versions."""
    name, run = named_run
    return f"{label if label == name else f'{label}, {name}'}: {about.versions(run.environment)}"


def changed(*runs: Run) -> list[str]:
    """The ids of claims that do not have one verdict in all runs, or are not in all of them."""
    by_id = [{result.id: result.verdict for result in run.results} for run in runs]
    claims = dict.fromkeys(claim for verdicts in by_id for claim in verdicts)
    return [claim for claim in claims if len({verdicts.get(claim) for verdicts in by_id}) > 1]


def _rows(
    claim: str, runs: Sequence[Mapping[str, ClaimResult]], *, everything: bool, same_seeds: bool
) -> Iterator[list[str]]:
    """The claim's verdict in each run, and a row per arm that differs; nothing if all agree.

    With ``same_seeds``, an arm is marked if its seeds differ nevertheless: fresh ones were needed.
    """
    results = [run.get(claim) for run in runs]
    arms = [_arms(result) if result else {} for result in results]
    rows = []
    for title, side in dict.fromkeys(key for of_run in arms for key in of_run):
        probes = [of_run.get((title, side)) for of_run in arms]
        first = next(place for place, probe in enumerate(probes) if probe is not None)
        shifts = [
            None
            if probe is None
            else _shift(None if place == first else probes[first], probe, side, mark=same_seeds)
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


def _shift(first: Comparison | None, probe: Comparison, side: str, *, mark: bool) -> Shift:
    """How far an arm's mean is above the first run's: ``+2.1 sd``, or in its unit.

    Without a first one this is the first run, of which the mean is shown.
    """
    if first is None:
        mean = formatting.number(_mean(probe.values(side)))
        return Shift(f"mean {mean} {probe.unit}".rstrip(), differs=False)
    shift = _above(first, probe, side)
    other = mark and set(first.seeds) != set(probe.seeds)
    return replace(shift, text=f"{shift.text}, other seeds") if other else shift


def _above(first: Comparison, probe: Comparison, side: str) -> Shift:
    after = _mean(probe.values(side))
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
            return Shift(f"{_signed(deviations)} sd", differs=abs(deviations) >= DEVIATIONS)
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
    differing = [
        claim for claim in common if any(_rows(claim, runs, everything=False, same_seeds=True))
    ]
    verdicts = [claim for claim in common if len({run[claim].verdict for run in runs}) > 1]
    agreeing = len(common) - len(differing)
    return (
        f"{formatting.counted(len(common), 'claim')} in all {len(runs)} files: {agreeing} agree, "
        f"{len(differing)} differ, {len(verdicts)} of them in the verdict"
    )
