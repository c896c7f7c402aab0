"""How far all arms are from their records, by mechanism: a row of dots each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from initcheck.report import formatting, plots
from initcheck.results import ENVELOPE_LIMIT, ClaimResult, Drift

FLOOR = 1e-3  # smaller r share a place: differences between them mean nothing


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
        rows: mechanisms of which an arm moved, the farthest first.
        still: mechanisms of which all arms have r = 0, with their number of arms.
        ticks: places and texts.
        limit: the place of the largest r that is allowed.
        label: the numbers for those who do not see it.
    """

    rows: list[Followed]
    still: list[tuple[str, int]]
    ticks: list[tuple[float, str]]
    limit: float
    allowed: int
    label: str


def envelopes(results: Sequence[ClaimResult]) -> Envelopes | None:
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
    line = plots.axis([*(_raised(r) for r in every), ENVELOPE_LIMIT])
    rows = [
        Followed(
            name, len(ratios), formatting.number(max(ratios)),
            sorted({(_place(line, r), r > ENVELOPE_LIMIT) for r in ratios}),
        )
        for name, ratios in sorted(judged.items(), key=lambda item: (-max(item[1]), item[0]))
        if max(ratios) > 0
    ]  # fmt: skip
    still = [(name, len(ratios)) for name, ratios in sorted(judged.items()) if max(ratios) == 0]
    far = sum(r > ENVELOPE_LIMIT for r in every)
    arms = [
        drift for result in results for probe in result.probes
        for _, drift in formatting.drifts(probe)
    ]  # fmt: skip
    label = (
        f"{len(every)} of {formatting.counted(len(arms), 'arm')} can be followed step by step. "
        f"Their distance r from the recorded trajectory is {formatting.span(every)} rounding "
        f"envelopes; {far or 'none'} above the {ENVELOPE_LIMIT} allowed."
    )
    return Envelopes(
        rows, still, _ticks(line, every), line.place(ENVELOPE_LIMIT), ENVELOPE_LIMIT,
        label + _without(arms),
    )  # fmt: skip


def _without(arms: Sequence[Drift]) -> str:
    """How many arms have no r, and why."""
    reasons = Counter(drift.note or drift.verdict for drift in arms if drift.r is None)
    if not reasons:
        return ""
    count = sum(reasons.values())
    why = "; ".join(f"{reason} ({number})" for reason, number in reasons.most_common())
    return f" {count} {'has' if count == 1 else 'have'} no r, each with its reason: {why}."


def _raised(r: float) -> float:
    return max(r, FLOOR) if r > 0 else r


def _place(line: plots.Axis, r: float) -> float:
    return line.place(_raised(r)) if math.isfinite(r) else plots.RIGHT


def _ticks(line: plots.Axis, every: Sequence[float]) -> list[tuple[float, str]]:
    """The ticks of the axis; the lowest says if smaller r are drawn there, too."""
    below = any(0 < r < FLOOR for r in every)
    floor = formatting.number(FLOOR, 6)
    return [(x, f"<={text}" if below and text == floor else text) for x, text in line.ticks()]
