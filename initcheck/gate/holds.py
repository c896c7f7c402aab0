"""Whether a claim holds: both arms' values against the limit, with margin and reason."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from initcheck import results
from initcheck.baselines.limits import KINDS, LimitEntry
from initcheck.gate.comparison import Pair
from initcheck.stats import decisions

MANY = 6  # seeds listed one by one; the rest is "..."


@dataclass(frozen=True)
class Finding:
    """What one stage finds out about one comparison.

    Attributes:
        final: whether fresh seeds cannot change it, because a value is not finite.
    """

    verdict: results.Verdict
    reason: str = ""
    margin: float | None = None
    margin_unit: str = "units"
    p_value: float | None = None
    final: bool = False


@dataclass(frozen=True)
class Values:
    """Both arms' values, one per seed."""

    seeds: tuple[int, ...]
    treated: list[float]
    control: list[float]

    def of(self, side: str) -> list[float]:
        """The values of ``treated`` or ``control``."""
        return self.treated if side == "treated" else self.control


def unusable(pair: Pair, limit: LimitEntry | None, where: str) -> str:
    """Why a comparison cannot be judged, or an empty text; ``where`` names the table."""
    if limit is None:
        return f"there is no limit {where}; write one, with its reason"
    if not limit.serves(pair.form):
        needed = {
            "holds": "'min' or 'max'",
            "gains": "'margin'",
            "rate": "'min', a share between 0 and 1,",
        }
        return f"{pair.form} needs {needed[pair.form]} at {where}"
    return ""


def too_weak(kind: str, limit: LimitEntry) -> bool:
    """Whether a limit is of a weaker kind than its claim, as a measured limit is in a theorem.

    A stricter one is allowed: a measured claim may have an exact comparison.
    """
    return KINDS.index(limit.kind) < KINDS.index(kind)


def judge(pair: Pair, values: Values, limit: LimitEntry, least: int) -> Finding:
    """Judge one stage. ``least`` is for ``rate``: how many treated seeds must succeed."""
    bad = not_finite(values)
    if bad:
        return Finding("invalid", bad, final=True)
    if pair.form == "gains":
        return _gains(values, limit.margin or 0.0)
    return _rate(values, least) if pair.form == "rate" else _holds(values, limit)


def not_finite(values: Values) -> str:
    """The arms and seeds that gave NaN or infinity, or an empty text."""
    parts = []
    for side in ("treated", "control"):
        wrong = [not math.isfinite(value) for value in values.of(side)]
        if any(wrong):
            parts.append(f"{_seeds(values, side, wrong)} are not finite")
    return "; ".join(parts)


def _seeds(values: Values, side: str, wrong: Iterable[object]) -> str:
    """The seeds of an arm that are wrong: ``3 of 16 treated seeds (seeds 11, 12, 14)``."""
    seeds = [str(seed) for seed, is_wrong in zip(values.seeds, wrong, strict=True) if is_wrong]
    count = f"{len(seeds)} of {len(values.seeds)} {side} seeds"
    if len(seeds) == len(values.seeds):
        return count
    named = ", ".join([*seeds[:MANY], *["..."] * (len(seeds) > MANY)])
    return f"{count} (seed{'s' * (len(seeds) > 1)} {named})"


def _holds(values: Values, limit: LimitEntry) -> Finding:
    treated, control, interval = values.treated, values.control, limit.interval
    verdict = decisions.holds(treated, control, interval)
    margin, unit = decisions.margin(treated, control, interval)
    outside = _seeds(values, "treated", ~interval.inside(treated))
    inside = _seeds(values, "control", interval.inside(control))
    reasons = {
        "refuted": f"{outside} are outside the limit",
        "invalid": f"{inside} are on the treated side, so the limit separates nothing",
    }
    shown = margin if math.isfinite(margin) else None
    return Finding(verdict, reasons.get(verdict, ""), shown, unit)


def _gains(values: Values, margin: float) -> Finding:
    d = np.subtract(values.treated, values.control)
    verdict, p = decisions.gains(d, margin), decisions.gain_p(d - margin)
    shown = (
        f"the mean gain is {d.mean():.3g}, and {(d > margin).sum()} of {len(d)} seeds gain more "
        f"than {margin:g} (p = {p:.2g}, where at most {decisions.GAIN_P} shows a gain)"
    )
    reasons = {
        "refuted": f"a gain of {margin:g} is excluded: {shown}",
        "inconclusive": f"a gain of {margin:g} is neither shown nor excluded: {shown}",
    }
    if 0.5 ** len(d) > decisions.GAIN_P:
        reasons["inconclusive"] += "; fewer than 8 seeds cannot show one"
    return Finding(verdict, reasons.get(verdict, ""), float(d.min() - margin), p_value=p)


def _rate(values: Values, least: int) -> Finding:
    verdict = decisions.rate(values.treated, values.control, least)
    counts = sum(values.treated), sum(values.control)
    reasons = {
        "refuted": f"{counts[0]:g} of {len(values.seeds)} treated seeds succeed, and {least} must",
        "invalid": _rate_invalid(values, least),
    }
    margin = min(counts[0] - least, least - 1 - counts[1])
    return Finding(verdict, reasons.get(verdict, ""), float(margin))


def _rate_invalid(values: Values, least: int) -> str:
    n = len(values.seeds)
    if not {*values.treated, *values.control} <= {0.0, 1.0}:
        return "rate needs a probe that gives 1 for a success and else 0"
    if least < 1:
        return f"{n} seeds are too few for this rate: no success at all would be no alarm"
    return f"{sum(values.control):g} of {n} control seeds succeed too, and fewer than {least} may"
