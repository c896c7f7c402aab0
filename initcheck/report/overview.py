"""The top of a page: does all hold, what failed and why, and the claims by run and device."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from initcheck.report import about, failure, formatting, plots
from initcheck.results import ENVELOPE_LIMIT, ORDER, ClaimResult, Run, worst


def headline(runs: Sequence[Run]) -> str:
    """One sentence: whether all holds, or how many results are not green."""
    results = [result for run in runs for result in run.results]
    if not results:
        return "Nothing was judged."
    counts = Counter(result.verdict for result in results)
    red = len(results) - counts["pass"]
    what = formatting.counted(len(results), "claim" if len(runs) == 1 else "result")
    if not red:
        every = "The claim holds" if len(results) == 1 else f"All {what} hold"
        unfinished = " so far" if any(run.unfinished for run in runs) else ""
        return f"{every}{unfinished}, and training is as recorded."
    parts = [f"{counts[key]} {key}" for key in reversed(ORDER[1:]) if counts[key]]
    verb = "is" if red == 1 else "are"
    return f"{red} of {what} {verb} not green: {', '.join(parts)}."


def why(result: ClaimResult) -> tuple[str, str]:
    """What was measured of a claim that is not green, and why it is not; empty if it is."""
    probe = max(result.red, key=lambda red: ORDER.index(red.verdict), default=None)
    if probe is not None and (probe.treated or probe.control):
        return f"{failure.measured(probe)}.", formatting.sentence(probe.reason)
    lines = [probe.reason] if probe is not None else result.message.strip().splitlines()
    red = result.verdict != "pass"
    return "", formatting.sentence(lines[0]) if red and lines else ""


MEANING: dict[str, str] = {
    "invalid": "Nothing could be judged, so it says neither yes nor no. The reason names what is "
    "missing or broken: a value that is not finite, a limit, data, or a control on the treated "
    "side. Fix that first.",
    "refuted": "The claim does not hold here. Look at the picture of its mechanism, then at what "
    "changed. A limit of an exact claim or a theorem never moves.",
    "drifted": "The claim holds, but training is not as recorded. The reason names the first step "
    "and the tensor. If the change is intended, record the file of the claim again: "
    "initcheck record 'the reason' FILE.",
    "inconclusive": "The gain is neither shown nor excluded. Run the claim with more seeds.",
}


def meanings(verdicts: Iterable[str]) -> list[tuple[str, str]]:
    """For each verdict of a red claim what it means and what to do, the gravest first."""
    seen = set(verdicts)
    return [(verdict, text) for verdict, text in MEANING.items() if verdict in seen]


# --- r of all arms --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Followed:
    """The r of the arms of one mechanism.

    Attributes:
        largest: the largest r, in words.
        dots: places of different r in percent of the width, and whether each is too far.
    """

    mechanism: str
    arms: int
    largest: str
    dots: list[tuple[float, bool]]


@dataclass(frozen=True)
class Envelopes:
    """All that the picture of r draws.

    Attributes:
        ticks: places and texts.
        limit: the place of the largest r that is allowed.
        label: the numbers for those who do not see it.
    """

    rows: list[Followed]
    ticks: list[tuple[float, str]]
    limit: float
    allowed: int
    label: str


def envelopes(results: Iterable[ClaimResult]) -> Envelopes | None:
    """The r of every arm, by mechanism, from the largest on; None if no arm is judged."""
    by_mechanism: dict[str, list[float]] = {}
    for result in results:
        for probe in result.probes:
            found = [drift.r for _, drift in formatting.drifts(probe) if drift.r is not None]
            by_mechanism.setdefault(result.mechanism, []).extend(
                math.inf if math.isnan(r) else r for r in found
            )
    judged = {name: ratios for name, ratios in by_mechanism.items() if ratios}
    if not judged:
        return None
    every = [r for ratios in judged.values() for r in ratios]
    line = plots.axis([*every, ENVELOPE_LIMIT])
    rows = [
        Followed(
            name, len(ratios), formatting.number(max(ratios)),
            sorted({(_place(line, r), r > ENVELOPE_LIMIT) for r in ratios}),
        )
        for name, ratios in sorted(judged.items(), key=lambda item: (-max(item[1]), item[0]))
    ]  # fmt: skip
    far = sum(r > ENVELOPE_LIMIT for r in every)
    label = (
        f"Distance r from the recorded trajectory, in rounding envelopes, of "
        f"{formatting.counted(len(every), 'arm')}: {formatting.span(every)}; "
        f"{far or 'none'} above the {ENVELOPE_LIMIT} allowed."
    )
    return Envelopes(rows, line.ticks(), line.place(ENVELOPE_LIMIT), ENVELOPE_LIMIT, label)


def _place(line: plots.Axis, r: float) -> float:
    return line.place(r) if math.isfinite(r) else plots.RIGHT


# --- claims by run and device ---------------------------------------------------------------------


@dataclass(frozen=True)
class Matrix:
    """Claims by run, device and torch release.

    Attributes:
        columns: three lines each: the run, the device, the release of torch.
        differing: rows whose cells are not all green or not all equal: a claim's name and anchor,
            and a verdict (or an empty text) per column.
        equal: the other rows.
    """

    columns: list[tuple[str, str, str]]
    differing: list[dict[str, Any]]
    equal: list[dict[str, Any]]


def matrix(runs: Sequence[Run], names: Sequence[str], anchors: dict[str, str]) -> Matrix | None:
    """The verdicts of all claims; None if there is only one column."""
    keys = list(dict.fromkeys(
        (number, result.device) for number, run in enumerate(runs) for result in run.results
    ))  # fmt: skip
    if len(keys) < 2:
        return None
    cells: dict[str, dict[tuple[int, str], str]] = {}
    for number, run in enumerate(runs):
        for result in run.results:
            row = cells.setdefault(result.name, {})
            key = (number, result.device)
            row[key] = worst([result.verdict, row.get(key, "pass")])  # type: ignore[list-item]
    rows = [
        {"name": name, "anchor": anchors[name], "verdicts": [row.get(key, "") for key in keys]}
        for name, row in cells.items()
    ]
    green = [set(row["verdicts"]) == {"pass"} for row in rows]
    return Matrix(
        columns=[
            (names[n] if names else "", device, f"torch {runs[n].environment.torch}")
            for n, device in keys
        ],
        differing=[row for row, is_green in zip(rows, green, strict=True) if not is_green],
        equal=[row for row, is_green in zip(rows, green, strict=True) if is_green],
    )  # fmt: skip


def labels(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """What tells runs apart: the number, then the fault, or the release of torch."""
    return [
        f"{name}, fault {run.settings.fault}" if run.settings.fault
        else f"{name}, torch {run.environment.torch}"
        for name, run in zip(names, runs, strict=False)
    ]  # fmt: skip


# --- what a run is --------------------------------------------------------------------------------


def captions(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """One line per run: its name, versions and devices, its fault, and its date."""
    lines = []
    for name, run in zip(names or [""], runs, strict=True):
        fault = f"fault {run.settings.fault}" if run.settings.fault else ""
        parts = [about.versions(run.environment), fault, run.date.partition("T")[0]]
        text = " · ".join(filter(None, parts))
        lines.append(f"{name}: {text}" if name else text)
    return lines
