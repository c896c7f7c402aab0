"""The top of a page: does all hold, what failed and why, and the claims by run and device."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from initcheck.report import about, failure, formatting, highlights
from initcheck.report.entries import Entry
from initcheck.results import ENVELOPE_LIMIT, GAIN_P, ORDER, ClaimResult, Comparison, Run, Verdict

SHADES = (0, 1)  # ends of r at which a cell of the matrix that passes gets darker


def verdicts(results: Sequence[ClaimResult]) -> list[tuple[Verdict, int]]:
    """How many results have each verdict that occurs, the gravest first."""
    counts = Counter(result.verdict for result in results)
    return [(key, counts[key]) for key in reversed(ORDER) if counts[key]]


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
        return f"{every}{unfinished}{_as_recorded(results)}"
    parts = [f"{counts[key]} {key}" for key in reversed(ORDER[1:]) if counts[key]]
    verb = "is" if red == 1 else "are"
    return f"{red} of {what} {verb} not green: {', '.join(parts)}."


def _as_recorded(results: Sequence[ClaimResult]) -> str:
    """The end of a sentence: of how many arms training was compared with its record."""
    judged, arms = highlights.compared(results)
    if not judged:
        return ". No arm could be compared with recorded training."
    if judged == arms:
        return ", and training is as recorded."
    return f", and training is as recorded in {_all(judged)} that can be followed."


def _all(arms: int) -> str:
    return "the one arm" if arms == 1 else f"all {arms} arms"


def why(result: ClaimResult) -> tuple[str, str]:
    """What was measured of a claim that is not green, and why it is not; empty if it is."""
    probe = max(result.red, key=lambda red: ORDER.index(red.verdict), default=None)
    if probe is not None and (probe.treated or probe.control):
        return f"{failure.measured(probe)}.", formatting.sentences(probe.reason)
    lines = [probe.reason] if probe is not None else result.message.strip().splitlines()
    red = result.verdict != "pass"
    return "", formatting.sentence(lines[0]) if red and lines else ""


MEANING: dict[str, str] = {
    "invalid": "Nothing could be judged, so it says neither yes nor no. The reason names what is "
    "missing or broken: a value that is not finite, a limit, data, or a control on the treated "
    "side. Fix that first.",
    "refuted": "The claim does not hold here. If an arm starts from other values, look at the "
    "initializer; if not, at the picture of its mechanism and at what changed. A limit of an exact "
    "claim or a theorem never moves.",
    "drifted": "The claim holds, but training is not as recorded. If an arm starts from other "
    "values, look at the initializer. If it left its rounding envelope, the reason names the first "
    "step and tensor. Where nearly all arms that train did, look at what they share: optimizer, "
    "learning rate, schedule, order of data. Where some did, look at the layers that only these "
    "have.",
    "inconclusive": "The gain is neither shown nor excluded. Run the claim with more seeds.",
}


#: What may end a drift; not under a fault, whose numbers must not become the record.
INTENDED = (
    " If the change is intended, record each such claim again with the last command of its entry "
    "below."
)


def meanings(verdicts: Iterable[str], *, faulty: bool = False) -> list[tuple[str, str]]:
    """For each verdict of a red claim what it means and what to do, the gravest first.

    Args:
        verdicts: of the claims.
        faulty: whether a run on the page seeds a fault.
    """
    seen = set(verdicts)
    return [
        (verdict, text + (INTENDED if verdict == "drifted" and not faulty else ""))
        for verdict, text in MEANING.items() if verdict in seen
    ]  # fmt: skip


# --- what passed with the least room --------------------------------------------------------------


def narrow(entries: Sequence[Entry], anchors: dict[str, str]) -> list[dict[str, str]]:
    """The comparisons that passed with the least room: the claim, its anchor, and a sentence."""
    where = {id(entry.result): entry.run for entry in entries}
    rows = [
        {
            "name": result.name,
            "anchor": anchors[result.name],
            "where": " · ".join(filter(None, [result.device, where[id(result)]])),
            "text": _room(probe),
        }
        for result, probe in highlights.closest([entry.result for entry in entries])
    ]
    return [row for n, row in enumerate(rows) if row not in rows[:n]]


def _room(probe: Comparison) -> str:
    """How far a comparison that passed is from failing."""
    if probe.form == "gains":
        p = formatting.number(probe.p_value)
        return f"{probe.title}: the gain is shown at p = {p}, and {GAIN_P} is needed."
    if probe.form == "rate":
        return f"{probe.title}: {formatting.margin(probe)} more succeeded than are needed."
    unit = probe.unit if probe.margin_unit == "units" else ""
    room = f"{formatting.margin(probe)} {unit}".rstrip().replace(" dec", " decades")
    ranges = formatting.number(highlights.room(probe), 2)
    return (
        f"{probe.title}: {room} from its limit ({formatting.limit(probe)}), which is {ranges} "
        "times the range of that arm over seeds."
    )


# --- claims by run and device ---------------------------------------------------------------------


@dataclass(frozen=True)
class Matrix:
    """Claims by run, device and torch release.

    Attributes:
        columns: lines each: the run, the device, the release of torch, the fault if there is one.
        short: the columns in one or two words, for narrow screens.
        allowed: the largest r that is allowed.
        differing: rows whose cells are not all green: a claim's name and anchor, and a cell per
            column: its verdict (or an empty text), the largest r of its arms, and how dark it is.
        equal: the other rows.
    """

    columns: list[tuple[str, ...]]
    short: list[str]
    allowed: int
    differing: list[dict[str, Any]]
    equal: list[dict[str, Any]]


@dataclass(frozen=True)
class Cell:
    """A claim in one column: its verdict, the largest r of its arms in words, and a shade."""

    verdict: Verdict | Literal[""] = ""
    r: str = ""
    shade: int = 0

    @property
    def shown(self) -> str:
        """The class of the cell on the page: that of its verdict, or of its shade if it passes."""
        if self.verdict in ("", "pass"):
            return f"shade{self.shade}" if self.shade else ""
        return f"{self.verdict}-cell"


def _cell(result: ClaimResult) -> Cell:
    """Shades: 0 without r or with r = 0, 1 up to one envelope, 2 beyond it."""
    found = [
        math.inf if math.isnan(drift.r) else drift.r
        for probe in result.probes for _, drift in formatting.drifts(probe)
        if drift.r is not None
    ]  # fmt: skip
    if not found:
        return Cell(result.verdict)
    r = max(found)
    return Cell(result.verdict, formatting.number(r, 2), sum(r > edge for edge in SHADES))


def matrix(runs: Sequence[Run], names: Sequence[str], anchors: dict[str, str]) -> Matrix | None:
    """The verdict and the largest r of all claims; None if there is only one column."""
    keys = list(dict.fromkeys(
        (number, result.device) for number, run in enumerate(runs) for result in run.results
    ))  # fmt: skip
    if len(keys) < 2:
        return None
    cells: dict[str, dict[tuple[int, str], Cell]] = {}
    for number, run in enumerate(runs):
        for result in run.results:
            row = cells.setdefault(result.name, {})
            key, cell = (number, result.device), _cell(result)
            before = row.get(key, cell)  # the worse one counts if a run judged a claim twice
            worse = ORDER.index(cell.verdict) >= ORDER.index(before.verdict)
            row[key] = cell if worse else before
    rows = [
        {"name": name, "anchor": anchors[name], "cells": [row.get(key, Cell()) for key in keys]}
        for name, row in cells.items()
    ]
    green = [{cell.verdict for cell in row.values()} == {"pass"} for row in cells.values()]
    return Matrix(
        columns=[
            (names[n] if names else "", device, f"torch {runs[n].environment.torch}",
             f"fault {fault}" if (fault := runs[n].settings.fault) else "")
            for n, device in keys
        ],
        short=_short(keys, names), allowed=ENVELOPE_LIMIT,
        differing=[row for row, is_green in zip(rows, green, strict=True) if not is_green],
        equal=[row for row, is_green in zip(rows, green, strict=True) if is_green],
    )  # fmt: skip


def _short(keys: Sequence[tuple[int, str]], names: Sequence[str]) -> list[str]:
    """The run of each column, the device, or both if neither tells them apart."""
    devices = [device for _, device in keys]
    if len({n for n, _ in keys}) == len(keys):
        return [names[n] for n, _ in keys]
    if len(set(devices)) == len(keys):
        return devices
    return [f"{names[n]} {device}" for n, device in keys]


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
