"""The statistics that decide a comparison, on top of ``scipy.stats``.

Every function is pure. Letters as in the literature: alpha is the false-alarm rate of a comparison,
alpha1 that of one of its two stages, n the number of seeds now, N the number of seeds recorded.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: What the values alone decide. Whether training has drifted is decided apart from it.
Decision = Literal["pass", "inconclusive", "refuted", "invalid"]

SUITE_FALSE_ALARMS = 0.01  # share of runs of the whole suite on unchanged code, per device
POWER = 0.95  # share of runs in which a fault that a claim names is caught
CONFIDENCE = 0.95  # share of recordings of N seeds for which a bound holds
GAIN_P = 0.005  # per stage; with 16 seeds the exact test can reach 2**-16
SEEDS = {"exact": 4, "theorem": 4, "measured": 16}  # per stage, by default
ROUNDING_ROOM = 1e-2  # an upper limit below this allows for rounding only; margins are in decades
ROUNDING_OF_A_MEAN = 1e-9  # relative; moments of values closer than this are rounding errors
GAIN_MISSED = 0.001  # share of runs on unchanged code in which both stages may miss a gain
ENOUGH_RECORDED = 64  # seeds that a recorded distribution needs
DELTA = 0.1  # of the distance between treated and control; smaller shifts do not matter
ROOM = 2.0  # gap between the arms that a measured limit needs, in ranges within an arm


@dataclass(frozen=True)
class Limit:
    """An interval; an open end is infinite."""

    low: float = -math.inf
    high: float = math.inf

    def inside(self, values: Sequence[float]) -> NDArray[np.bool_]:
        """Which values are in the closed interval; NaN is not."""
        v = np.asarray(values, dtype=float)
        inside: NDArray[np.bool_] = (v >= self.low) & (v <= self.high)
        return inside

    def distance(self, values: Sequence[float]) -> NDArray[np.float64]:
        """The distance of each value from the nearer end, positive inside."""
        v = np.asarray(values, dtype=float)
        nearest: NDArray[np.float64] = np.minimum(v - self.low, self.high - v)
        return nearest


def split(registered: int, suite: float = SUITE_FALSE_ALARMS) -> float:
    """The false-alarm rate of one of ``registered`` comparisons (Bonferroni)."""
    return suite / max(registered, 1)


def per_stage(alpha: float) -> float:
    """alpha1 of each stage, sqrt(alpha): red needs two independent stages to fail."""
    return math.sqrt(alpha)


# --- does it hold -------------------------------------------------------------------------------


def finite(*arms: ArrayLike) -> bool:
    """Whether no value of any arm is NaN or infinite."""
    return all(bool(np.isfinite(arm).all()) for arm in arms)


def holds(treated: Sequence[float], control: Sequence[float], limit: Limit) -> Decision:
    """Whether every treated value is inside the limit and every control value outside.

    If the control is inside too, the limit separates nothing and the comparison is invalid.
    """
    if not finite(treated, control):
        return "invalid"
    if not limit.inside(treated).all():
        return "refuted"
    return "invalid" if limit.inside(control).any() else "pass"


def margin(treated: Sequence[float], control: Sequence[float], limit: Limit) -> tuple[float, str]:
    """The smallest distance of any value from the limit, negative on the wrong side, and its unit.

    The unit is decades if the limit is a positive upper end that allows for rounding only, else the
    probe's own. If a treated value equals the limit, as in a claim of equality, the margin is the
    control's.
    """
    if not (len(treated) and len(control)):
        return math.nan, "units"
    if limit.low == -math.inf and 0 < limit.high < ROUNDING_ROOM and min(*treated, *control) >= 0:
        with np.errstate(divide="ignore"):
            t, c, edge = (np.log10(np.asarray(x, float)) for x in (treated, control, limit.high))
        return float(min((edge - t).min(), (c - edge).min())), "decades"
    inside, outside = float(limit.distance(treated).min()), -float(limit.distance(control).max())
    return (outside if inside == 0 else min(inside, outside)), "units"


def gap_in_ranges(one: Sequence[float], other: Sequence[float]) -> float:
    """The gap between two arms over the larger range within one; negative if they overlap.

    Computed for the values and, if none is negative, for their logarithms; the larger one counts.
    """
    both = [np.asarray(arm, dtype=float) for arm in sorted((one, other), key=np.mean)]
    rooms = [_room(*both)]
    if min(map(np.min, both)) >= 0:
        with np.errstate(divide="ignore"):
            rooms.append(_room(*map(np.log, both)))
    return max(rooms)


def _room(lower: NDArray[np.float64], upper: NDArray[np.float64]) -> float:
    # zeros have logarithm -inf, whose max - min is NaN, although they do not vary
    widest = max(0.0 if (arm == arm[0]).all() else float(np.ptp(arm)) for arm in (lower, upper))
    gap = float(upper.min() - lower.max())
    return gap / widest if widest else math.copysign(math.inf, gap)


def gains(difference: ArrayLike, margin_: float, *, p_value: float = GAIN_P) -> Decision:
    """Whether the mean paired difference exceeds the margin: shown, excluded, or neither."""
    d = np.asarray(difference, dtype=float) - margin_
    if not finite(d):
        return "invalid"
    if gain_p(d) <= p_value:
        return "pass"
    return "refuted" if upper_bound(d) < 0 else "inconclusive"


def gain_p(d: NDArray[np.float64]) -> float:
    """One-sided p-value of ``d > 0``: Wilcoxon's exact signed-rank test; with ties, the sign test.

    Wilcoxon 1945, Biometrics Bulletin 1, 80. The sign test is exact for any distribution.
    """
    from scipy.stats import binomtest, wilcoxon  # noqa: PLC0415 -- scipy.stats costs a second

    d = _with_ties(d)
    if len(np.unique(np.abs(d))) < len(d) or (d == 0).any():
        kept = d[d != 0]
        if not len(kept):
            return 1.0
        return float(binomtest(int((kept > 0).sum()), len(kept), alternative="greater").pvalue)
    return float(wilcoxon(d, alternative="greater", method="exact").pvalue)


def _with_ties(d: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences over the largest, to ten digits, so that .9 - .6 and .7 - .4 are equal."""
    largest = np.abs(d).max(initial=0.0)
    return np.round(d / largest, 10) if largest else d


def gain_missed(d: NDArray[np.float64], now: int, *, draws: int = 2000) -> float:
    """The share of stages on unchanged code that fail to show ``d > 0``.

    A stage is simulated by ``now`` of the recorded differences ``(N,)``, without replacement.
    """
    if len(d) <= now or (d > 0).all():  # every draw has positive differences only
        return 0.0
    drawn = np.random.default_rng(1).permuted(np.tile(d, (draws, 1)), axis=1)[:, :now]
    return float(np.mean([gain_p(row) > GAIN_P for row in drawn]))


def upper_bound(d: NDArray[np.float64], confidence: float = 1 - GAIN_P) -> float:
    """Student's one-sided upper confidence bound on the mean of d."""
    from scipy.stats import t  # noqa: PLC0415 -- scipy.stats costs a second

    spread = float(d.std(ddof=1)) / math.sqrt(len(d)) if len(d) > 1 else math.inf
    return float(d.mean() + t.ppf(confidence, max(len(d) - 1, 1)) * spread)


# --- is training unchanged: the distribution ------------------------------------------------------


@functools.cache
def k_factor(recorded: int, now: int, alpha1: float) -> float:
    """How far the mean of ``now`` seeds may move, in recorded standard deviations.

    This is the one-sided tolerance factor of Odeh & Owen 1980, with the mean of n in place of one
    value. For 95 % of recordings, a stage then fails on each side with probability at most
    alpha1 / 2.
    """
    from scipy.stats import nct, norm  # noqa: PLC0415 -- scipy.stats costs a second

    z = norm.isf(alpha1 / 2) * math.sqrt(recorded / now)
    return float(nct.ppf(CONFIDENCE, recorded - 1, z) / math.sqrt(recorded))


TRANSFORMS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "identity": lambda x: x,
    "log": np.log,
    "logit": lambda x: np.log(x) - np.log1p(-x),
}


def transformed(values: ArrayLike, transform: str) -> NDArray[np.float64]:
    """The values after a transform in ``TRANSFORMS``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        y: NDArray[np.float64] = TRANSFORMS[transform](np.asarray(values, dtype=float))
    return y


def varies(y: ArrayLike) -> bool:
    """Whether values differ by more than the rounding error of their mean."""
    v = np.asarray(y, dtype=float)
    return bool(np.ptp(v) > ROUNDING_OF_A_MEAN * np.abs(v).max(initial=0.0)) if v.size else False


# --- rates --------------------------------------------------------------------------------------


def least_successes(recorded: tuple[int, int], now: int, alpha1: float) -> int:
    """The smallest count of successes among ``now`` seeds that raises no alarm.

    ``recorded`` is (successes, seeds). The rate is Clopper & Pearson's lower bound for it.
    """
    from scipy.stats import binomtest  # noqa: PLC0415 -- scipy.stats costs a second

    p_low = binomtest(*recorded).proportion_ci(2 * CONFIDENCE - 1, "exact").low
    return least_of(p_low, now, alpha1)


def least_of(share: float, now: int, alpha1: float) -> int:
    """The largest count that ``now`` seeds stay below with probability at most ``alpha1``.

    ``share`` is the smallest share of seeds that succeed. A result of 0 means that no count alarms.
    """
    from scipy.stats import binom  # noqa: PLC0415 -- scipy.stats costs a second

    return max(k for k in range(now + 1) if binom.cdf(k - 1, now, share) <= alpha1)


def rate(treated: Sequence[float], control: Sequence[float], least: int) -> Decision:
    """The verdict on a rate: ``pass`` if enough treated seeds succeed, and too few control seeds.

    Enough are ``least`` or more. Values are 1 for a success, else 0; anything else is invalid.
    It is invalid, too, if ``least`` is below 1, which no arm could miss, or if enough control seeds
    succeed. If too few treated seeds succeed, it is refuted.
    """
    values = np.asarray([*treated, *control], dtype=float)
    if not np.isin(values, (0.0, 1.0)).all() or least < 1:
        return "invalid"
    if sum(treated) < least:
        return "refuted"
    return "invalid" if sum(control) >= least else "pass"
