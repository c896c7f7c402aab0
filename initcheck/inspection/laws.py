"""The laws that weights follow: how their variance depends on fan-in and fan-out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scipy import special

#: The variance of a weight from its fan-in and fan-out.
Variance = Callable[[float, float], float]

LAWS: Mapping[str, Variance] = {
    "He, 2 / fan-in": lambda inputs, outputs: 2 / inputs,
    "LeCun, 1 / fan-in": lambda inputs, outputs: 1 / inputs,
    "torch's default, 1/3 / fan-in": lambda inputs, outputs: 1 / (3 * inputs),
    "Glorot, 2 / (fan-in + fan-out)": lambda inputs, outputs: 2 / (inputs + outputs),
    "Glorot with ReLU's gain, 4 / (fan-in + fan-out)": lambda inputs, outputs: (
        4 / (inputs + outputs)
    ),
    "2 / fan-out": lambda inputs, outputs: 2 / outputs,
    "1 / fan-out": lambda inputs, outputs: 1 / outputs,
    "1/3 / fan-out": lambda inputs, outputs: 1 / (3 * outputs),
    "N(0, 1)": lambda inputs, outputs: 1.0,
    "N(0, 0.02²)": lambda inputs, outputs: 0.02**2,
    "N(0, 0.01²)": lambda inputs, outputs: 0.01**2,
    "N(0, 0.001²)": lambda inputs, outputs: 0.001**2,
}
#: The laws above that depend on fan-out. Fans that torch counts from the shape alone mislead these.
OF_FAN_OUT = frozenset(name for name in LAWS if "fan-out" in name)

#: The kurtosis of a normal law.
NORMAL = 3.0
#: Relative distance from a law that is not resolved: rounding to bfloat16 moves a variance by less.
SLACK = 0.01


@dataclass(frozen=True)
class Moments:
    """What is known of the entries of a tensor.

    Attributes:
        count: of entries.
        mean: their mean.
        variance: the mean square of their distance from it.
        kurtosis: their fourth central moment over the squared variance; 0 if all are equal.
        low: the smallest entry.
        high: the largest entry.
    """

    count: int
    mean: float
    variance: float
    kurtosis: float
    low: float
    high: float

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the variance, corrected for heavy tails.

        ``2 n / (kurtosis - 1)``, since the variance of a sample variance is
        ``(kurtosis - 1) / n`` of its square. Light tails are not credited.
        """
        return 2 * self.count / (max(self.kurtosis, NORMAL) - 1)


@dataclass(frozen=True)
class Measured:
    """The moments of a tensor and the law that its variance follows.

    Attributes:
        law: its name, or what the tensor holds otherwise.
        gain: the mean square of a weight's entries times its fan-in; None if it has no fan.
        fan_in: inputs of each unit.
        fan_out: units of each input.
    """

    moments: Moments
    law: str
    gain: float | None = None
    fan_in: float = 0.0
    fan_out: float = 0.0


def interval(moments: Moments, *, alpha: float) -> tuple[float, float]:
    """Where the ratio of the sample variance to the true one is, but for a probability alpha.

    The interval of chi square, with `Moments.freedom`, and `SLACK` on both sides.
    """
    freedom = moments.freedom
    low, high = special.chdtri(freedom, [1 - alpha / 2, alpha / 2]) / freedom
    return float(low) * (1 - SLACK), float(high) * (1 + SLACK)


def fitting(moments: Moments, fan_in: float, fan_out: float, *, alpha: float) -> tuple[str, ...]:
    """The names of the laws that a sample variance does not contradict, in the table's order.

    Args:
        moments: of the sample.
        fan_in: inputs of each unit.
        fan_out: units of each input.
        alpha: the probability to reject a law that is right.
    """
    low, high = interval(moments, alpha=alpha)
    return tuple(
        name for name, variance in LAWS.items()
        if low <= moments.variance / variance(fan_in, fan_out) <= high
    )  # fmt: skip


def differ(first: Moments, second: Moments) -> float:
    """The p value of two variances being equal, by an F test that allows for heavy tails."""
    if not first.variance or not second.variance:
        return 1.0 if first.variance == second.variance else 0.0
    ratio = first.variance / second.variance
    freedom = first.freedom, second.freedom
    return float(min(1.0, 2 * min(special.fdtr(*freedom, ratio), special.fdtrc(*freedom, ratio))))
