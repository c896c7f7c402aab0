"""Two or more runs side by side: verdicts, and how far each probe has moved."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from initcheck.report import formatting
from initcheck.report.formatting import Record

Named = tuple[str, Record]
Key = tuple[str, str]  # a probe and its case


def compare(*named_results: Named) -> str:
    """A table of claims by files, from pairs of a file's name and its results.

    Below each claim, a line a probe: by how many recorded standard deviations the treated arm's
    mean lies above that of the first file that has the claim; in the probe's unit where there is
    no recorded deviation, or where the two files have theirs on different scales. Then the claims
    that are not in all files, and a count.
    """
    names = [name for name, _ in named_results]
    runs = [{result["id"]: result for result in results["results"]} for _, results in named_results]
    claims = list(dict.fromkeys(claim for run in runs for claim in run))
    rows = [["claim", *names], *(row for claim in claims for row in _rows(claim, runs))]
    return "\n".join([*_aligned(rows), "", *_partial(claims, names, runs), _count(claims, runs)])


def _rows(claim: str, runs: Sequence[Mapping[str, Record]]) -> Iterator[list[str]]:
    """The claim's verdict in each file, then the shift of each of its probes."""
    yield [claim, *(run[claim]["verdict"] if claim in run else "-" for run in runs)]
    probes = [_probes(run[claim]) if claim in run else {} for run in runs]
    for key in dict.fromkeys(key for of_run in probes for key in of_run):
        found = [of_run.get(key) for of_run in probes]
        first = next(probe for probe in found if probe is not None)
        shifts = ["-" if probe is None else _shift(first, probe) for probe in found]
        yield [f"  {formatting.title(first)}", *shifts]


def _probes(result: Record) -> dict[Key, Record]:
    return {(probe["probe"], probe.get("case") or ""): probe for probe in result["probes"]}


def _shift(first: Record, probe: Record) -> str:
    """How far a probe's treated mean lies above the first file's: `+2.1 s`, or in its unit."""
    if probe is first:
        return formatting.number(_mean(first))
    was, now = ((one.get("drift") or {}).get("treated") or {} for one in (first, probe))
    std = was.get("recorded_std") or now.get("recorded_std")
    before: float | None = _mean(first)
    after: float | None = _mean(probe)
    scales = {_scale(was), _scale(now)}  # recorded anew, an arm may have another
    if scales != {None}:  # the deviation is on that scale, so the means must be
        before, after = was.get("mean"), now.get("mean")
    if len(scales) == 1 and std and before is not None and after is not None:
        return f"{_signed((after - before) / std)} s"
    return f"{_signed(_mean(probe) - _mean(first))} {probe['unit']}".rstrip()


def _scale(arm: Record) -> str | None:
    """The scale of an arm's recorded deviation; ranks have that of the values."""
    name = arm.get("transform")
    return "identity" if name == "ranks" else name


def _mean(probe: Record) -> float:
    """NaN where there is none: of no value, and of infinities of both signs."""
    try:
        return statistics.fmean(probe["treated"]) if probe["treated"] else math.nan
    except ValueError:
        return math.nan


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + formatting.number(value)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _partial(
    claims: Sequence[str], names: Sequence[str], runs: Sequence[Mapping[str, Record]]
) -> Iterator[str]:
    """A line for each claim that is not in all files."""
    for claim in claims:
        having = [name for name, run in zip(names, runs, strict=True) if claim in run]
        if len(having) < len(names):
            yield f"only in {', '.join(having)}: {claim}"


def _count(claims: Sequence[str], runs: Sequence[Mapping[str, Record]]) -> str:
    common = [claim for claim in claims if all(claim in run for run in runs)]
    differing = [claim for claim in common if len({run[claim]["verdict"] for run in runs}) > 1]
    return f"{len(common)} claims in all {len(runs)} files, {len(differing)} with another verdict"
