"""Strip plots: where each seed's value, the limit and the ticks stand, in percent of the width.

What is drawn from these is the template's business.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from initcheck.report import formatting
from initcheck.report.formatting import Record

LEFT, RIGHT = 4.0, 96.0  # percent; a dot at either end stays whole
AFTER_ZERO = 14.0  # percent; on a logarithmic axis, zero stands apart at the left end
WIDE = 50  # above this ratio an axis is logarithmic
TICKS = 5
FAR = 1e300  # beyond this a difference of two values could overflow; such dots stand at the end


@dataclass(frozen=True)
class Axis:
    """A linear axis, or a logarithmic one for values of at least zero."""

    low: float
    high: float
    logarithmic: bool = False
    zero: bool = False

    def place(self, value: float) -> float:
        """The percentage of the width at which a value stands."""
        left = AFTER_ZERO if self.zero else LEFT
        if self.logarithmic and value <= 0:
            return LEFT
        scale = math.log10 if self.logarithmic else float
        low, high = scale(self.low), scale(self.high)
        share = (scale(value) - low) / (high - low)
        return round(left + (RIGHT - left) * min(max(share, 0.0), 1.0), 2)

    def ticks(self) -> list[tuple[float, str]]:
        """Places and texts of a few round values."""
        values = _decades(self.low, self.high) if self.logarithmic else _round(self.low, self.high)
        return [
            (self.place(value), formatting.number(value, 6)) for value in [0.0] * self.zero + values
        ]


@dataclass(frozen=True)
class Row:
    """One arm: its name, its range in words, and where its dots stand."""

    role: str
    name: str
    text: str
    dots: list[float]
    recorded: tuple[float, float, float] | None = None  # mean less s, mean, mean plus s


@dataclass(frozen=True)
class Strip:
    """All that is drawn for one probe."""

    label: str
    rows: list[Row]
    ticks: list[tuple[float, str]]
    limits: list[float] = field(default_factory=list)
    limit_text: str = ""
    allowed: tuple[float, float] | None = None  # left end and width
    pairs: list[tuple[float, float]] = field(default_factory=list)


def axis(values: Iterable[float]) -> Axis:
    """An axis on which all finite values have a place."""
    finite = sorted(max(-FAR, min(value, FAR)) for value in values if math.isfinite(value))
    positive = [value for value in finite if value > 0]
    if positive and finite[0] >= 0 and positive[-1] > WIDE * positive[0]:
        return Axis(positive[0], positive[-1], logarithmic=True, zero=finite[0] == 0)
    low, high = (finite[0], finite[-1]) if finite else (0.0, 1.0)
    if low == high:
        around = abs(low) / 10 or 1.0
        return Axis(low - around, high + around)
    return Axis(low, high)


def of_probe(probe: Record) -> Strip:
    """Both arms of a probe above one axis, with the limit where it is one of values."""
    bounds = (probe.get("limit") or {}) if probe["form"] == "holds" else {}
    ends = [end for key in ("min", "max") if (end := bounds.get(key)) is not None]
    recorded = {arm: _recorded(probe, arm) for arm in ("treated", "control")}
    seen = [*probe["treated"], *probe["control"], *ends]
    floor = min(filter(math.isfinite, seen), default=0.0)
    usual = [value for three in recorded.values() for value in three]
    line = axis([*seen, *(value for value in usual if value >= min(floor, 0.0))])
    return Strip(
        label=f"{formatting.title(probe)}: treated {formatting.arm(probe, 'treated')}, "
        f"control {formatting.arm(probe, 'control')}, limit {formatting.limit(probe)}",
        rows=[_row(probe, arm, line, recorded[arm]) for arm in recorded],
        ticks=line.ticks(),
        limits=[line.place(end) for end in ends if math.isfinite(end)],
        limit_text=formatting.limit(probe),
        allowed=_allowed(bounds, line) if ends else None,
        pairs=_pairs(probe, line) if probe["form"] == "gains" else [],
    )


def of_envelopes(ratios: Sequence[float]) -> Strip:
    """The envelope ratio of every arm, with the one that is allowed."""
    allowed = formatting.ENVELOPE_LIMIT
    line = axis([*ratios, allowed])
    dots = [line.place(ratio) for ratio in ratios if math.isfinite(ratio)]
    text = formatting.span(ratios)
    return Strip(
        label=f"envelope ratio of {len(ratios)} arms: {text}, {allowed} allowed",
        rows=[Row("treated", f"{len(ratios)} arms", text, dots)],
        ticks=line.ticks(),
        limits=[line.place(allowed)],
        limit_text=f"<= {allowed}",
        allowed=(0.0, line.place(allowed)),
    )


def _row(probe: Record, arm: str, line: Axis, recorded: Sequence[float]) -> Row:
    text = f"{formatting.arm(probe, arm)} {probe['unit']}".rstrip()
    dots = [line.place(value) for value in probe[arm] if math.isfinite(value)]
    low, mean, high = map(line.place, recorded) if recorded else (0.0, 0.0, 0.0)
    name = probe.get(f"{arm}_name") or arm
    return Row(arm, name, text, dots, (low, mean, high) if recorded else None)


def _recorded(probe: Record, arm: str) -> list[float]:
    """The recorded mean less, without and with its deviation, if on the scale of the values."""
    drift = (probe.get("drift") or {}).get(arm) or {}
    mean, std = drift.get("recorded_mean"), drift.get("recorded_std")
    if mean is None or std is None or drift.get("transform") in ("log", "logit"):
        return []
    return [mean - std, mean, mean + std] if math.isfinite(mean + std) else []


def _allowed(bounds: Record, line: Axis) -> tuple[float, float]:
    low, high = bounds.get("min"), bounds.get("max")
    left = 0.0 if low is None else line.place(low)
    right = 100.0 if high is None else line.place(high)
    return left, round(right - left, 2)


def _pairs(probe: Record, line: Axis) -> list[tuple[float, float]]:
    """Where the two values of each seed stand."""
    both = zip(probe["treated"], probe["control"], strict=False)
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
