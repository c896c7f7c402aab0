"""What stands out in a run: comparisons close to their limits, large drifts, odd p-values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from initcheck.report import formatting
from initcheck.results import ENVELOPE_LIMIT, GAIN_P, SIDES, ClaimResult, Comparison, Drift

ENOUGH = 8  # fewer p-values say nothing about uniformity
FEW = 3  # comparisons shown as the closest to their limits

Results = Sequence[ClaimResult]
Named = tuple[ClaimResult, Comparison]

# Which p-values
# --------------
# A gain's own p-value is small when all is well, so uniformity of those would tell nothing. On
# unchanged code the p-value of an arm's mean against its evidence is uniform. Those p-values show
# a release that shifts everything slightly.

# How close a limit is
# --------------------
# Margins in nats, shares and ranks have no common scale. What they have in common are their seeds:
# a margin is compared with the range of the same arm over its seeds. A gain is decided by its
# p-value and a rate by a number of seeds, so each of those forms has its own ranking.


def closest(results: Results) -> list[Named]:
    """The passing comparisons closest to failing: a few with a limit, one gain and one rate.

    Each is of another claim, or of the same in another form.
    """
    green = [(one, c) for one in results for c in one.probes if c.verdict == "pass"]
    held = [(ranges, named) for named in green if (ranges := room(named[1])) is not None]
    gains = [(-c.p_value, (one, c)) for one, c in green if c.form == "gains" and c.p_value]
    rates = [(c.margin, (one, c)) for one, c in green if c.form == "rate" and c.margin is not None]
    return [
        named
        for ranked, count in ((held, FEW), (gains, 1), (rates, 1))
        for named in _of_each_claim(ranked)[:count]
    ]


def _of_each_claim(ranked: Sequence[tuple[float, Named]]) -> list[Named]:
    """The comparison of each claim with the smallest number, the smallest first."""
    first: dict[str, Named] = {}
    for _, named in sorted(ranked, key=lambda pair: pair[0]):
        first.setdefault(named[0].claim, named)
    return [*first.values()]


def room(comparison: Comparison) -> float | None:
    """The smallest distance to the limit, in ranges of that arm over its seeds.

    None if it is no such limit or neither arm varies. An arm that is on the limit, as in a claim of
    equality, is left out.
    """
    if comparison.form != "holds":
        return None
    rooms = []
    for side in SIDES:
        values = _scaled(comparison, comparison.values(side))
        ends = _scaled(comparison, [end for end in comparison.limit.values() if end is not None])
        if not values or not ends or not all(map(math.isfinite, [*values, *ends])):
            continue
        gap = min(abs(value - end) for value in values for end in ends)
        width = max(values) - min(values)
        if gap and width:
            rooms.append(gap / width)
    return min(rooms, default=None)


def _scaled(comparison: Comparison, values: Sequence[float]) -> list[float]:
    """The values on the scale of the margin."""
    if comparison.margin_unit != "decades":
        return [*values]
    return [math.log10(value) if value > 0 else -math.inf for value in values]


def margins(results: Results) -> Iterator[str]:
    """A line on each of the closest comparisons, with the number that decides."""
    for result, comparison in closest(results):
        name = f"{result.id} {comparison.title}"
        if comparison.form == "gains":
            p = formatting.number(comparison.p_value)
            yield f"closest gain: p = {p} of {GAIN_P} allowed, {name}"
        elif comparison.form == "rate":
            yield f"closest rate: {formatting.margin(comparison)} to spare, {name}"
        else:
            unit = comparison.unit if comparison.margin_unit == "units" else ""
            margin = f"{formatting.margin(comparison)} {unit}".rstrip()
            ranges = formatting.number(room(comparison))
            yield f"close to its limit: {margin}, {ranges} x the range over seeds, {name}"


def envelope(results: Results) -> Iterator[str]:
    """A line on the largest r, the distance of an arm from its record; NaN counts as infinite."""
    largest, count = _largest(results)
    if largest is None:
        return
    r, name = largest
    judged = f"{count} are judged"
    alone = sum(drift.r is not None and bool(drift.note) for _, _, drift in _drifts(results))
    if alone:  # evidence of an older release
        judged += f", {alone} by losses alone, since their evidence has no sketches of tensors"
    if r == 0:
        yield f"largest envelope ratio: r = 0 in all that are judged; {judged}"
    else:
        yield (
            f"largest envelope ratio: r = {formatting.number(r)} of {ENVELOPE_LIMIT} allowed, "
            f"{name}; {judged}"
        )


def followed(results: Results) -> str:
    """How closely training is as it was recorded, for a reader who does not know what r is."""
    largest, count = _largest(results)
    if largest is None:
        return "no arm could be compared with a recorded trajectory"
    r, name = largest
    compared = f"{count} could be compared with their recorded training: "
    if r == 0:
        return f"{compared}each is the same bit by bit at the judged steps"
    return (
        f"{compared}the farthest is {formatting.number(r)} rounding envelopes off "
        f"({ENVELOPE_LIMIT} are allowed), {name}"
    )


def compared(results: Results) -> tuple[int, int]:
    """Of how many arms there is an r, and how many arms there are."""
    ratios = [drift.r for _, _, drift in _drifts(results)]
    return sum(r is not None for r in ratios), len(ratios)


def _largest(results: Results) -> tuple[tuple[float, str] | None, str]:
    """The largest r with its arm, if there is one, and how many arms have an r."""
    arms = [(name, drift.r) for name, _, drift in _drifts(results)]
    named_ratios = [(math.inf if math.isnan(r) else r, name) for name, r in arms if r is not None]
    return max(named_ratios, default=None), f"{len(named_ratios)} of {len(arms)} arms"


def advice(results: Results) -> Iterator[str]:
    """A line on whether many small drifts are significant together; it never fails the run."""
    named_p_values = _p_values(results)
    if len(named_p_values) < ENOUGH:
        return
    from scipy import stats  # type: ignore[import-untyped,unused-ignore]

    p_values, names = zip(*named_p_values, strict=True)
    q, name = min(zip(stats.false_discovery_control(p_values), names, strict=True))
    uniform = stats.kstest(p_values, "uniform").pvalue
    q_text, p_text = formatting.number(float(q)), formatting.number(float(uniform))
    yield (
        f"advisory, gates nothing: {len(named_p_values)} arms were tested for a shift of their "
        f"mean from the evidence: smallest Benjamini-Hochberg q = {q_text} ({name}), and the "
        f"kstest whether the p-values are uniform gives p = {p_text}"
    )


def smallest_q(results: Results) -> float | None:
    """The smallest Benjamini-Hochberg q of ``advice``; None if there are too few arms for it."""
    p_values = [p for p, _ in _p_values(results)]
    if len(p_values) < ENOUGH:
        return None
    from scipy import stats  # type: ignore[import-untyped,unused-ignore]

    return float(min(stats.false_discovery_control(p_values)))


def _p_values(results: Results) -> list[tuple[float, str]]:
    """The p-value and the name of each arm whose mean is compared with its evidence."""
    return [
        (p, name)
        for name, seeds, drift in _drifts(results)
        if (p := drift_p_value(drift, seeds)) is not None
    ]


def drift_p_value(drift: Drift, seeds: int) -> float | None:
    """Two-sided p-value of an arm's mean over some seeds against its record, by Student's t."""
    shift, recorded = drift.shift, drift.recorded_n or 0
    if shift is None or not math.isfinite(shift) or recorded < 2 or seeds < 1:
        return None
    from scipy import special  # type: ignore[import-untyped,unused-ignore]

    t = abs(shift) / math.sqrt(1 / seeds + 1 / recorded)
    return float(2 * special.stdtr(recorded - 1, -t))  # stats.t.sf takes 50 times as long


def _drifts(results: Results) -> Iterator[tuple[str, int, Drift]]:
    """The name, number of seeds and drift of each arm that was compared with its evidence."""
    for result in results:
        for comparison in result.probes:
            for side, drift in formatting.drifts(comparison):
                name = f"{result.id} {comparison.title}, {side}"
                yield name, len(comparison.values(side)), drift
