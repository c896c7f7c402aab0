"""Is one call slower than another by more than a factor, on a machine that others use too?

Ratios are judged, never seconds. The calls take turns in one process, and a pair of equal calls
must show that the machine is quiet enough to judge.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PAIRS = 20  # an even number: each block A B B A gives two
P_VALUE = 0.001  # per stage; two must agree
CONFIDENCE = 0.99  # of the interval for the pair of equal calls

Call = Callable[[], object]
Clock = Callable[[], float]
Logs = NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """A judged ratio.

    Attributes:
        verdict: ``pass``, ``refuted``, or ``invalid`` if the machine is too noisy to judge.
        ratio: median of time A over time B.
        low: lower end of the ratio's confidence interval.
        high: its upper end.
        sentence: the result in words.
    """

    verdict: str
    ratio: float
    low: float
    high: float
    sentence: str


def compare(a: Call, b: Call, *, limit: float, clock: Clock = time.perf_counter) -> Comparison:
    """Does A take at most ``limit`` times as long as B? Refuted only if a second stage agrees.

    Both calls must finish their work before they return; on an accelerator they must synchronize.
    """
    for warm_up in (a, b):
        warm_up()
    control = turns(a, a, clock=clock)
    first = judge(turns(a, b, clock=clock), control, limit=limit)
    if first.verdict != "refuted":
        return first
    return judge(turns(a, b, clock=clock), control, limit=limit)


def turns(a: Call, b: Call, *, pairs: int = PAIRS, clock: Clock = time.perf_counter) -> Logs:
    """Logarithms of tA / tB, one per pair, in blocks A B B A so that a steady drift cancels."""
    logs = []
    for _ in range(pairs // 2):
        first, second, third, fourth = (_seconds(call, clock) for call in (a, b, b, a))
        logs += [math.log(first / second), math.log(fourth / third)]
    return np.array(logs)


def _seconds(call: Call, clock: Clock) -> float:
    start = clock()
    call()
    return clock() - start


def judge(
    logs: Sequence[float] | Logs, control: Sequence[float] | Logs, *, limit: float
) -> Comparison:
    """Judge the ratios by the limit, unless equal calls show that the machine is too noisy.

    Args:
        logs: logarithms of tA / tB.
        control: the same for A against itself.
        limit: the largest ratio allowed; the machine must resolve its distance from 1.
    """
    from scipy.stats import wilcoxon  # noqa: PLC0415 -- scipy.stats costs a second

    low, high = np.exp(interval(logs))
    ratio = float(np.exp(np.median(logs)))
    sentence = f"takes {ratio:.3g} times as long ({low:.3g} to {high:.3g}), limit {limit:g}"
    noise = too_noisy(control, limit)
    if noise:
        return Comparison("invalid", ratio, low, high, f"{sentence}; {noise}")
    above = np.asarray(logs) - math.log(limit)
    p = float(wilcoxon(above, alternative="greater", method="exact").pvalue)
    return Comparison(
        "refuted" if p <= P_VALUE else "pass", ratio, low, high, f"{sentence}, p = {p:.2g}"
    )


def too_noisy(control: Sequence[float] | Logs, limit: float) -> str:
    """Why nothing can be judged, or an empty text: equal calls differ, or vary too much."""
    low, high = interval(control)
    if low > 0 or high < 0:
        return (
            f"the machine is too noisy to judge: two equal calls differ by a factor of "
            f"{np.exp(low):.3g} to {np.exp(high):.3g}"
        )
    if (high - low) / 2 > abs(math.log(limit)):
        return (
            f"the machine is too noisy to judge: times of equal calls vary by a factor of "
            f"{np.exp((high - low) / 2):.3g}"
        )
    return ""


def interval(logs: Sequence[float] | Logs) -> tuple[float, float]:
    """Student's confidence interval of the mean."""
    from scipy.stats import t  # noqa: PLC0415 -- scipy.stats costs a second

    x = np.asarray(logs, dtype=float)
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(x) - 1) * x.std(ddof=1) / math.sqrt(len(x)))
    return float(x.mean()) - half, float(x.mean()) + half
