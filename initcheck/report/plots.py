"""Strip plots: the places of each seed's value, the limit and the ticks, in percent of the width.

The template draws them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from initcheck.report import formatting
from initcheck.results import SIDES, Comparison

LEFT, RIGHT = 4.0, 96.0  # percent; a dot at either end is not cut
AFTER_ZERO = 14.0  # percent; on a logarithmic axis, zero has its own place at the left end
WIDE = 50  # above this ratio an axis is logarithmic
TICKS = 5
FAR = 1e300  # beyond this a difference of two values could overflow; such dots are at the end


@dataclass(frozen=True)
class Axis:
    """A linear axis, or a logarithmic one for values of at least zero."""

    low: float
    high: float
    logarithmic: bool = False
    zero: bool = False

    def place(self, value: float) -> float:
        """The place of a value, in percent of the width."""
        left = AFTER_ZERO if self.zero else LEFT
        if self.logarithmic and value <= 0:
            return LEFT
        scale = math.log10 if self.logarithmic else float
        low, high = scale(self.low), scale(self.high)
        share = (scale(value) - low) / (high - low)
        return round(left + (RIGHT - left) * min(max(share, 0.0), 1.0), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Places and texts of a few round values."""
        values = _decades(self.low, self.high) if self.logarithmic else _round(self.low, self.high)
        return [
            (self.place(value), formatting.number(value, 6)) for value in [0.0] * self.zero + values
        ]


@dataclass(frozen=True)
class Row:
    """One arm: its name, its range in words, and the places of its dots."""

    role: str
    name: str
    text: str
    dots: list[float]  # one per different place
    recorded: tuple[float, float, float] | None = None  # mean less deviation, mean, plus


@dataclass(frozen=True)
class Strip:
    """All that is drawn for one comparison."""

    rows: list[Row]
    ticks: list[tuple[float, str]]
    limits: list[float] = field(default_factory=list)
    limit_text: str = ""
    allowed: tuple[float, float] | None = None  # left end and width
    pairs: list[tuple[float, float]] = field(default_factory=list)


def axis(values: Iterable[float]) -> Axis:
    """An axis on which each finite value has a place."""
    finite = sorted(max(-FAR, min(value, FAR)) for value in values if math.isfinite(value))
    positive = [value for value in finite if value > 0]
    if positive and finite[0] >= 0 and positive[-1] > WIDE * positive[0]:
        return Axis(positive[0], positive[-1], logarithmic=True, zero=finite[0] == 0)
    low, high = (finite[0], finite[-1]) if finite else (0.0, 1.0)
    if low == high:
        around = abs(low) / 10 or 1.0
        return Axis(low - around, high + around)
    return Axis(low, high)


def of_comparison(probe: Comparison) -> Strip:
    """Both arms above one axis, with the limit if it is on the values themselves."""
    bounds = probe.limit if probe.form == "holds" else {}
    ends = [end for key in ("min", "max") if (end := bounds.get(key)) is not None]
    recorded = {side: _recorded(probe, side) for side in SIDES}
    seen = [*probe.treated, *probe.control, *ends]
    floor = min(filter(math.isfinite, seen), default=0.0)
    usual = [value for ends_and_mean in recorded.values() for value in ends_and_mean]
    line = axis([*seen, *(value for value in usual if value >= min(floor, 0.0))])
    return Strip(
        rows=[_row(probe, side, line, recorded[side]) for side in SIDES],
        ticks=line.ticks(),
        limits=[line.place(end) for end in ends if math.isfinite(end)],
        limit_text=formatting.limit(probe),
        allowed=_allowed(bounds, line) if ends else None,
        pairs=_pairs(probe, line) if probe.form == "gains" else [],
    )


def _row(probe: Comparison, side: str, line: Axis, recorded: Sequence[float]) -> Row:
    text = f"{formatting.arm(probe, side)} {probe.unit}".rstrip()
    seen = (line.place(value) for value in probe.values(side) if math.isfinite(value))
    dots = [*dict.fromkeys(seen)]  # equal values are one dot: a page of many claims stays small
    low, mean, high = map(line.place, recorded) if recorded else (0.0, 0.0, 0.0)
    same = probe.treated_name == probe.control_name  # they differ in recipe or network
    name = f"{probe.name(side)}, {side}" if same and probe.name(side) else probe.name(side) or side
    return Row(side, name, text, dots, (low, mean, high) if recorded else None)


def _recorded(probe: Comparison, side: str) -> list[float]:
    """The recorded mean minus, without and plus its deviation; empty if on another scale."""
    drift = probe.drift.get(side)
    if drift is None or drift.transform in ("log", "logit"):
        return []
    mean, std = drift.recorded_mean, drift.recorded_std
    if mean is None or std is None:
        return []
    return [mean - std, mean, mean + std] if math.isfinite(mean + std) else []


def _allowed(bounds: Mapping[str, float | None], line: Axis) -> tuple[float, float]:
    low, high = bounds.get("min"), bounds.get("max")
    left = 0.0 if low is None else line.place(low)
    right = 100.0 if high is None else line.place(high)
    return left, round(right - left, 2)


def _pairs(probe: Comparison, line: Axis) -> list[tuple[float, float]]:
    """The places of the two values of each seed."""
    both = zip(probe.treated, probe.control, strict=False)
    return [(line.place(a), line.place(b)) for a, b in both if math.isfinite(a + b)]


def _decades(low: float, high: float) -> list[float]:
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    every = max(1, math.ceil((last - first + 1) / TICKS))
    return [10.0**power for power in range(first, last + 1, every)]


def _round(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within the range."""
    raw = max((high - low) / (TICKS - 1), 1 / FAR)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
    first = math.ceil(low / step)
    return [step * count for count in range(first, math.floor(high / step) + 1)]
