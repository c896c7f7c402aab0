"""Have an arm's outcomes moved: the scale on which they are compared, and the tests.

The scale is chosen from the arm's recorded values whenever it is judged, so it is not stored. If
the values are near normal on no scale, ranks alone decide. On the other scales, ranks must agree
with means, since a recording may look normal by chance. In simulations with 64 recorded and 16
fresh seeds and 300 comparisons, 40 % of recordings of Student's t with 3 degrees of freedom looked
normal, and means alone gave false alarms at 6 times alpha over both stages. For a normal law with
one outlier in 20 values, it was 32 % and 9 times. With ranks, both stayed below a tenth of alpha.
No exponential recording looked normal, and ranks alone gave false alarms at a tenth of alpha.
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
OF_UNIT = {"nats": "log", "share": "logit"}  # the transform that fits a probe's unit
MAX_SKEW = 1.0  # the exponential law has 2; 7 % of its samples of 64 stay below 1
NORMAL_P = 0.01  # of Shapiro and Wilk's test: 99 % of normal samples pass, no exponential ones
TRIALS = 400
STEP, FARTHEST = 0.25, 6.0  # the shifts that are tried, in standard deviations


def choose(values: ArrayLike, other: ArrayLike, unit: str) -> str:
    """``log``, ``logit``, ``identity``, or ``ranks`` if the values are near normal on none of them.

    Args:
        values: the arm's recorded values.
        other: the other arm's recorded values, which must also be finite on the scale.
        unit: the probe's unit.
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
        return True  # nothing is compared
    return abs(float(skew(y))) <= MAX_SKEW and (len(y) < 3 or shapiro(y).pvalue > NORMAL_P)


@dataclass(frozen=True)
class Shift:
    """The outcomes of an arm compared with the recorded ones, all on the arm's scale.

    Attributes:
        moved: whether the outcomes have moved.
        allowed: how far the mean may move, whatever the ranks are.
        detectable: the shift that is detected in 95 % of runs; None with ranks, whose power depends
            on the law: see ``detectable_by_trial``.
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
        name: ``ranks``, or a transform in ``decisions.TRANSFORMS``.
        values: the recorded values, transformed.
        delta: the shift on this scale that does not matter, a tenth of the way to the other arm.
    """

    name: str
    values: NDArray[np.float64]
    delta: float

    @property
    def transform(self) -> str:
        """The transform; ``identity`` with ranks."""
        return "identity" if self.name == RANKS else self.name

    def room(self, now: int, alpha1: float) -> float:
        """How far the mean may move, whatever the ranks are."""
        return float(_room(self, self.values, now, alpha1))

    def moved(self, after: NDArray[np.float64], alpha1: float) -> NDArray[np.bool_]:
        """Whether transformed outcomes ``(..., n)`` have moved from the recorded ones."""
        return self.apart(self.values, after, alpha1)

    def apart(
        self, before: NDArray[np.float64], after: NDArray[np.float64], alpha1: float
    ) -> NDArray[np.bool_]:
        """As ``moved``, with ``before``, ``(..., N)``, in place of the recorded outcomes."""
        from scipy.stats import mannwhitneyu  # noqa: PLC0415 -- scipy.stats costs a second

        recorded, now = before.shape[-1], after.shape[-1]
        room = _room(self, before, now, alpha1)
        far = ~(np.abs(after.mean(-1) - before.mean(-1)) <= room)  # NaN is far
        # values without a logarithm rank below all others
        ranked = np.nan_to_num(after, nan=-np.finfo(float).max)
        p = mannwhitneyu(before, ranked, axis=-1).pvalue
        moved: NDArray[np.bool_] = far & (p <= rank_level(recorded, now, alpha1))
        return moved


def _room(on: Scale, before: NDArray[np.float64], now: int, alpha1: float) -> NDArray[np.float64]:
    if on.name == RANKS:
        return np.full(before.shape[:-1], on.delta)
    k = decisions.k_factor(before.shape[-1], now, alpha1)
    room: NDArray[np.float64] = np.maximum(k * before.std(-1, ddof=1), on.delta)
    return room


def scale(values: Sequence[float], other: Sequence[float], unit: str) -> Scale | None:
    """The scale of an arm, or None if too few values were recorded or all are equal."""
    if len(values) < decisions.ENOUGH_RECORDED or not np.isfinite([*values, *other]).all():
        return None
    name = choose(values, other, unit)
    transform = "identity" if name == RANKS else name
    y, other_y = decisions.transformed(values, transform), decisions.transformed(other, transform)
    if not decisions.varies(y):
        return None
    return Scale(name, y, DELTA * abs(float(y.mean() - other_y.mean())))


@functools.cache
def rank_level(recorded: int, now: int, alpha1: float) -> float:
    """The level of Mann and Whitney's test at which a stage has false alarms at rate ``alpha1``.

    A test at level alpha1 has that rate on average over recordings, but both stages use the same
    recording. By Hoeffding's projection the statistic is a sum over the recorded seeds and a sum
    over the present ones, with variances in the ratio 1/N to 1/n. As in ``decisions.k_factor``, the
    level holds for 95 % of recordings: Mann & Whitney 1947, Ann. Math. Statist. 18, 50; Hoeffding
    1948, ibid. 19, 293.
    """
    from scipy.stats import norm  # noqa: PLC0415 -- scipy.stats costs a second

    share = 1 / math.sqrt(now), 1 / math.sqrt(recorded)
    reach = norm.isf(alpha1 / 2) * share[0] + norm.ppf(decisions.CONFIDENCE) * share[1]
    return float(2 * norm.sf(reach / math.hypot(*share)))


def rank_reach(recorded: int, now: int, alpha1: float) -> float:
    """The shift of normal outcomes, in standard deviations, that ranks detect half of the time.

    For normal outcomes Mann and Whitney's statistic has mean P(X < Y) = Phi(shift / sqrt 2).
    """
    from scipy.stats import norm  # noqa: PLC0415 -- scipy.stats costs a second

    spread = math.sqrt((recorded + now + 1) / (12 * recorded * now))
    share = 0.5 + norm.isf(rank_level(recorded, now, alpha1) / 2) * spread
    return float(math.sqrt(2) * norm.ppf(share)) if share < 1 else math.inf


def detectable(on: Scale, now: int, alpha1: float) -> float:
    """The shift of normal outcomes that both tests of both stages detect in 95 % of runs."""
    s, recorded = float(on.values.std(ddof=1)), len(on.values)
    reach = max(on.room(now, alpha1), rank_reach(recorded, now, alpha1) * s)
    return reach + _quantile() * s * math.sqrt(1 / now + 1 / recorded)


def _quantile() -> float:
    from scipy.stats import norm  # noqa: PLC0415 -- scipy.stats costs a second

    return float(norm.ppf(decisions.POWER**0.25))


def detectable_by_trial(on: Scale, now: int, alpha1: float) -> float | None:
    """As ``detectable`` for outcomes of any law: recorded ones are resampled and shifted both ways.

    None if even ``FARTHEST`` standard deviations are not detected.
    """
    drawn = np.random.default_rng(0).choice(on.values, (TRIALS, now))
    s = float(on.values.std(ddof=1))
    for size in np.arange(STEP, FARTHEST + STEP, STEP) * s:
        detected = [on.moved(drawn + sign * size, alpha1).mean() for sign in (-1, 1)]
        if min(detected) >= math.sqrt(decisions.POWER):
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
    """The name of the arm's scale, and its present outcomes compared with the recorded ones.

    None if nothing can be compared.

    Args:
        values: the arm's recorded values.
        now: its present values.
        other: the other arm's recorded values.
        unit: the probe's unit.
        alpha1: the false-alarm rate of a stage.
    """
    on = scale(values, other, unit)
    if on is None:
        return None
    after = decisions.transformed(now, on.transform)
    return on.name, Shift(
        moved=bool(on.moved(after, alpha1)),
        mean=float(after.mean()),
        recorded_mean=float(on.values.mean()),
        recorded_std=float(on.values.std(ddof=1)),
        allowed=on.room(len(after), alpha1),
        detectable=None if on.name == RANKS else detectable(on, len(after), alpha1),
    )
