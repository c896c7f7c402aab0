"""What stands out in a run: the smallest margin, the largest drift, p-values out of line."""

from __future__ import annotations

import math
from collections.abc import Iterator

from initcheck.report import formatting
from initcheck.report.formatting import Record

ENOUGH = 8  # fewer p-values say nothing about uniformity

# Which p-values
# --------------
# A gain's own p-value is small when all is well, so the uniformity of those would tell nothing.
# What is uniform on unchanged code is the p-value of an arm's mean against its evidence: those
# notice a release that nudges everything slightly.


def margins(results: Record) -> Iterator[str]:
    """The smallest margin in decades, and the smallest in a probe's own units."""
    for unit in ("decades", "units"):
        found = [
            (value, name)
            for name, probe in _probes(results)
            if probe.get("margin_unit") == unit
            and (value := probe.get("margin")) is not None
            and math.isfinite(value)
        ]
        if found:
            value, name = min(found)
            yield f"smallest margin: {formatting.number(value)} {unit}, {name}"


def envelope(results: Record) -> Iterator[str]:
    """The largest envelope ratio; one that is not a number counts as larger than all."""
    found = [
        (math.inf if math.isnan(ratio) else ratio, name)
        for name, _, drift in _drifts(results)
        if (ratio := drift.get("r")) is not None
    ]
    if found:
        value, name = max(found)
        allowed = formatting.ENVELOPE_LIMIT
        yield f"largest envelope ratio: r = {formatting.number(value)} of {allowed} allowed, {name}"


def advice(results: Record) -> Iterator[str]:
    """Whether many small drifts add up: told, never gated on (see the note `Which p-values`)."""
    found = [
        (p, name)
        for name, seeds, drift in _drifts(results)
        if (p := drift_p_value(drift, seeds)) is not None
    ]
    if len(found) < ENOUGH:
        return
    from scipy import stats  # type: ignore[import-untyped,unused-ignore]

    p_values, names = zip(*found, strict=True)
    q, name = min(zip(stats.false_discovery_control(p_values), names, strict=True))
    uniform = stats.kstest(p_values, "uniform").pvalue
    yield (
        f"advisory, gates nothing: {len(found)} arms against their evidence, smallest "
        f"Benjamini-Hochberg q = {formatting.number(float(q))} ({name}), "
        f"uniformity of the p-values by kstest p = {formatting.number(float(uniform))}"
    )


def drift_p_value(drift: Record, seeds: int) -> float | None:
    """Two-sided p-value of an arm's mean over some seeds against its recording, by Student's t."""
    if (known := drift.get("p_value")) is not None:
        return float(known) if 0 <= known <= 1 else None
    distance, recorded = formatting.moved(drift), drift.get("recorded_n") or 0
    if distance is None or not math.isfinite(distance) or recorded < 2 or seeds < 1:
        return None
    from scipy import special  # type: ignore[import-untyped,unused-ignore]

    t = abs(distance) / math.sqrt(1 / seeds + 1 / recorded)
    return float(2 * special.stdtr(recorded - 1, -t))  # stats.t.sf takes 50 times as long


def ratios(results: Record) -> list[float]:
    """The envelope ratio of every arm that has one."""
    drifts = (drift for _, _, drift in _drifts(results))
    return [ratio for drift in drifts if (ratio := drift.get("r")) is not None]


def _probes(results: Record) -> Iterator[tuple[str, Record]]:
    for result in results["results"]:
        for probe in result["probes"]:
            yield f"{result['id']} {formatting.title(probe)}", probe


def _drifts(results: Record) -> Iterator[tuple[str, int, Record]]:
    """The name, number of seeds and drift of each arm that was compared with its evidence."""
    for name, probe in _probes(results):
        for arm in formatting.ARMS:
            if drift := (probe.get("drift") or {}).get(arm):
                yield f"{name}, {arm}", len(probe[arm]), drift
