"""An inspection as one HTML page that needs no other file and no network."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from initcheck.files.templates import html_template
from initcheck.inspection.findings import Inspection
from initcheck.inspection.layers import BINS, WIDTH
from initcheck.inspection.names import grouped

#: Sizes of the drawings in their own units.
CHART, STRIP, BARS = (720, 220), (120, 18), (128, 36)
_LEFT = 64  # of the chart, for its numbers
_EDGE = 18  # above and below the line: more than half of a number on a narrow screen


def page(inspection: Inspection) -> str:
    """The page: findings first, then the signals over the depth, then a row for each layer."""
    laws = {row["name"]: row.get("law") for row in inspection.tensors}
    layers = [_layer(row, laws) for row in inspection.layers]
    called = [row for row in inspection.layers if row["forward"] is not None]
    scales = {name: _scale(row[name] for row in inspection.layers) for name in _SIGNALS}
    for layer in layers:
        layer["strips"] = [
            {"name": name, "value": layer[name], "x": _place(layer[name], scales[name])}
            for name in _SIGNALS
        ]
    template = html_template("inspection", "inspection.html.j2", number=number)
    return template.render(
        inspection=inspection,
        findings=[
            {"finding": each, "names": grouped(each.parameters)} for each in inspection.findings
        ],
        not_judged=_not_judged(inspection),
        layers=layers,
        charts=[
            {"name": name, **_chart([row[name] for row in called])}
            for name in _SIGNALS
            if scales[name]
        ],
        chart=CHART, strip=STRIP, bars=BARS, left=_LEFT,
    )  # fmt: skip


_SIGNALS = ("forward", "backward")


def number(value: float | None) -> str:
    """Three digits, or a dash."""
    if value is None or math.isnan(value):
        return "-"
    return re.sub(r"e([-+])0", r"e\1", f"{value:.3g}").replace("e+", "e")


def _not_judged(inspection: Inspection) -> list[tuple[str, str, str]]:
    several: dict[tuple[str, str], list[str]] = {}
    for each in inspection.not_judged:
        several.setdefault((each.check, each.why), []).append(each.what)
    return [
        (check, ", ".join(grouped(filter(None, what))), why)
        for (check, why), what in several.items()
    ]


def _layer(row: dict[str, Any], laws: dict[str, str | None]) -> dict[str, Any]:
    weight = row["weight"]
    return {
        **row,
        "bars": _bars(weight["shares"]),
        "curve": _normal() if weight["shares"] else "",
        "law": laws.get(weight["name"]) or "",
        "shape": " x ".join(map(str, weight["shape"])) or "1",
    }


# --- drawings -------------------------------------------------------------------------------------


def _finite(values: Iterable[float | None]) -> list[float]:
    return [each for each in values if each and math.isfinite(each)]


def _scale(values: Iterable[float | None]) -> tuple[float, float] | None:
    """The decades that all values span, at least two."""
    logs = [math.log10(each) for each in _finite(values)]
    if not logs:
        return None
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    return (low - 1.0, high + 1.0) if high - low < 2 else (float(low), float(high))


def _place(value: float | None, scale: tuple[float, float] | None) -> float | None:
    """Where a value is between 0 and 1, in decades."""
    if not scale or not value or not math.isfinite(value):
        return None
    return round((math.log10(value) - scale[0]) / (scale[1] - scale[0]), 4)


def _chart(values: Sequence[float | None]) -> dict[str, Any]:
    """Points of a line over the layers, and the decades at its left."""
    scale = _scale(values)
    low, high = scale or (0.0, 1.0)
    width, height = CHART[0] - _LEFT - 8, CHART[1] - 2 * _EDGE
    points = []
    for n, value in enumerate(values):
        place = _place(value, scale)
        if place is not None:
            x = _LEFT + width * (n + 0.5) / len(values)
            points.append((round(x, 1), round(_EDGE + height * (1 - place), 1)))
    step = max(math.ceil((high - low) / 6), 1)
    ticks = [
        {"y": round(_EDGE + height * (1 - (decade - low) / (high - low)), 1), "decade": decade}
        for decade in range(int(low), int(high) + 1, step)
    ]
    logs = [math.log10(each) for each in _finite(values)]
    return {
        "points": points,
        "ticks": ticks,
        "smallest": min(_finite(values), default=None),
        "largest": max(_finite(values), default=None),
        "decades": max(logs) - min(logs) if logs else 0.0,
        "zeros": sum(value == 0 for value in values),
    }


def _bars(shares: Sequence[float]) -> list[tuple[float, float, float]]:
    """Left edge, top and height of each bar; a normal law's highest is at 80 %."""
    width, height = BARS[0] / BINS, BARS[1]
    tallest = max(_peak() / 0.8, *shares, 1e-9) if shares else 1.0
    return [
        (round(n * width, 2), round(height * (1 - share / tallest), 2),
         round(height * share / tallest, 2))
        for n, share in enumerate(shares) if share
    ]  # fmt: skip


def _peak() -> float:
    """The share of a normal law in a bin at its mean."""
    return 2 * WIDTH / BINS / math.sqrt(2 * math.pi)


def _normal() -> str:
    """Points of the normal law with the same mean and standard deviation, highest at 80 %."""
    points = []
    for n in range(33):
        z = WIDTH * (n / 16 - 1)
        y = BARS[1] * (1 - 0.8 * math.exp(-z * z / 2))
        points.append(f"{BARS[0] * n / 32:g},{y:.1f}")
    return " ".join(points)
