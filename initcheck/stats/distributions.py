"""Have an arm's outcomes moved: on which scale they are compared, and how.

The scale is chosen from the recorded values whenever an arm is judged, for each arm by itself, so
it is stored nowhere. An arm whose outcomes are near to normal on no scale is compared by ranks
alone. On every scale ranks have to agree, since a frozen recording may pass for normal by chance.
Simulated with 64 recorded and 16 fresh seeds and 300 comparisons: of Student's t with 3 degrees of
freedom 40 % of recordings pass, and means alone then alarm at 6 times alpha over both stages; of a
normal law with one value in 20 far away 32 %, at 9 times. With ranks both stay below a tenth of
alpha. No exponential recording passes: by ranks alone they alarm at a tenth of alpha.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from initcheck.stats import decisions
from initcheck.stats.decisions import DELTA

RANKS = "ranks"
OF_UNIT = {"nats": "log", "share": "logit"}
MAX_SKEW = 1.0  # an exponential law has 2; of 64 of its seeds, 7 % of samples stay below
NORMAL_P = 0.01  # of Shapiro and Wilk's test: exponential samples never pass, normal ones in 99 %
TRIALS, STEP, FARTHEST = 400, 0.25, 6.0  # draws, and shifts tried, in standard deviations


def choose(values: ArrayLike, other: ArrayLike, unit: str) -> str:
    """``log``, ``logit``, ``identity``, or ``ranks`` where values are near to normal on none.

    Args:
        values: what was recorded of the arm.
        other: what was recorded of the arm beside it, which must be finite on that scale too.
        unit: of the probe.
    """
    for name in (OF_UNIT.get(unit, "identity"), "identity"):
        scaled = decisions.transformed(values, name)
        finite = np.isfinite(scaled).all() and np.isfinite(decisions.transformed(other, name)).all()
        if finite and _near_normal(scaled):
            return name
    return RANKS


def _near_normal(y: NDArray[np.float64]) -> bool:
    from scipy.stats import shapiro, skew  # noqa: PLC0415 -- scipy.stats costs a second

    if not decisions.varies(y):
        return True  # nothing to compare either way
    return abs(float(skew(y))) <= MAX_SKEW and (len(y) < 3 or shapiro(y).pvalue > NORMAL_P)


@dataclass(frozen=True)
class Shift:
    """The outcomes of an arm beside those recorded, all on their scale.

    Attributes:
        allowed: how far the mean may move whatever the ranks say.
        detectable: the shift that is seen in 95 % of runs; None with ranks, whose power depends on
            the law: ``detectable_by_trial``.
    """

    moved: bool
    mean: float
    recorded_mean: float
    recorded_std: float
    allowed: float
    detectable: float | None


@dataclass(frozen=True)
class Scale:
    """An arm's recorded outcomes on their scale.

    Attributes:
        name: ``ranks``, or a transform of the gate.
        values: recorded, transformed.
        delta: on this scale, what does not matter: a tenth of the way to the other arm.
    """

    name: str
    values: NDArray[np.float64]
    delta: float

    @property
    def transform(self) -> str:
        """What is done to values; with ranks, nothing."""
        return "identity" if self.name == RANKS else self.name

    def room(self, now: int, alpha1: float) -> float:
        """How far the mean may move before ranks are asked at all."""
        return float(_room(self, self.values, now, alpha1))

    def moved(self, after: NDArray[np.float64], alpha1: float) -> NDArray[np.bool_]:
        """Whether outcomes ``(..., n)``, transformed, are others than those recorded."""
        return self.apart(self.values, after, alpha1)

    def apart(
        self, before: NDArray[np.float64], after: NDArray[np.float64], alpha1: float
    ) -> NDArray[np.bool_]:
        """The same for any ``(..., N)`` in the place of those recorded."""
        from scipy.stats import mannwhitneyu  # noqa: PLC0415 -- scipy.stats costs a second

        recorded, now = before.shape[-1], after.shape[-1]
        room = _room(self, before, now, alpha1)
        far = ~(np.abs(after.mean(-1) - before.mean(-1)) <= room)  # so that NaN is far
        # what has no logarithm lies below all that has one; 0 would stand for one nat
        ranked = np.nan_to_num(after, nan=-np.finfo(float).max)
        p = mannwhitneyu(before, ranked, axis=-1).pvalue
        moved: NDArray[np.bool_] = far & (p <= rank_level(recorded, now, alpha1))
        return moved


def _room(
    found: Scale, before: NDArray[np.float64], now: int, alpha1: float
) -> NDArray[np.float64]:
    if found.name == RANKS:
        return np.full(before.shape[:-1], found.delta)
    k = decisions.k_factor(before.shape[-1], now, alpha1)
    room: NDArray[np.float64] = np.maximum(k * before.std(-1, ddof=1), found.delta)
    return room


def scale(values: Sequence[float], other: Sequence[float], unit: str) -> Scale | None:
    """The scale of an arm, or None where too few were recorded or all are the same."""
    if len(values) < decisions.ENOUGH_RECORDED or not np.isfinite([*values, *other]).all():
        return None
    name = choose(values, other, unit)
    transform = "identity" if name == RANKS else name
    y, beside = decisions.transformed(values, transform), decisions.transformed(other, transform)
    if not decisions.varies(y):
        return None
    return Scale(name, y, DELTA * abs(float(y.mean() - beside.mean())))


@functools.cache
def rank_level(recorded: int, now: int, alpha1: float) -> float:
    """Significance of Mann and Whitney's test at which a stage keeps ``alpha1``.

    Its own level would hold on average over recordings, but both stages are compared with the one
    there is. By Hoeffding's projection the statistic is a sum over ``recorded`` and one over
    ``now`` with variances as 1/N to 1/n, so, as in ``gate.k_factor``, room is left for 95 % of
    recordings: Mann & Whitney 1947, Ann. Math. Statist. 18, 50; Hoeffding 1948, ibid. 19, 293.
    """
    from scipy.stats import norm  # noqa: PLC0415 -- scipy.stats costs a second

    share = 1 / math.sqrt(now), 1 / math.sqrt(recorded)
    reach = norm.isf(alpha1 / 2) * share[0] + norm.ppf(decisions.CONFIDENCE) * share[1]
    return float(2 * norm.sf(reach / math.hypot(*share)))


def rank_reach(recorded: int, now: int, alpha1: float) -> float:
    """The shift of normal outcomes, in standard deviations, that ranks call a move half the time.

    Mann and Whitney's statistic then has mean P(X < Y) = Phi(shift / sqrt 2).
    """
    from scipy.stats import norm  # noqa: PLC0415 -- scipy.stats costs a second

    spread = math.sqrt((recorded + now + 1) / (12 * recorded * now))
    share = 0.5 + norm.isf(rank_level(recorded, now, alpha1) / 2) * spread
    return float(math.sqrt(2) * norm.ppf(share)) if share < 1 else math.inf


def detectable(found: Scale, now: int, alpha1: float) -> float:
    """The shift, on the scale, that both tests of both stages see in 95 % of runs, if normal."""
    s, recorded = float(found.values.std(ddof=1)), len(found.values)
    reach = max(found.room(now, alpha1), rank_reach(recorded, now, alpha1) * s)
    return reach + _quantile() * s * math.sqrt(1 / now + 1 / recorded)


def _quantile() -> float:
    from scipy.stats import norm  # noqa: PLC0415 -- scipy.stats costs a second

    return float(norm.ppf(decisions.POWER**0.25))


def detectable_by_trial(found: Scale, now: int, alpha1: float) -> float | None:
    """As ``detectable``, for outcomes of any law: recorded ones drawn again and moved, both ways.

    None where not even ``FARTHEST`` standard deviations are seen.
    """
    drawn = np.random.default_rng(0).choice(found.values, (TRIALS, now))
    s = float(found.values.std(ddof=1))
    for size in np.arange(STEP, FARTHEST + STEP, STEP) * s:
        seen = [found.moved(drawn + way * size, alpha1).mean() for way in (-1, 1)]
        if min(seen) >= math.sqrt(decisions.POWER):
            return float(size)
    return None


def compare(
    values: Sequence[float],
    now: Sequence[float],
    *,
    other: Sequence[float],
    unit: str,
    alpha1: float,
) -> tuple[str, Shift] | None:
    """The scale's name and the arm beside its recording; None where nothing can be compared."""
    found = scale(values, other, unit)
    if found is None:
        return None
    after = decisions.transformed(now, found.transform)
    return found.name, Shift(
        moved=bool(found.moved(after, alpha1)),
        mean=float(after.mean()),
        recorded_mean=float(found.values.mean()),
        recorded_std=float(found.values.std(ddof=1)),
        allowed=found.room(len(after), alpha1),
        detectable=None if found.name == RANKS else detectable(found, len(after), alpha1),
    )
