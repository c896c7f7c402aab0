"""Medians and quartiles of rounds; ratios are taken round by round, for machines drift."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Figure:
    """A median and the quartiles around it."""

    low: float
    median: float
    high: float

    def __format__(self, form) -> str:
        low, median, high = (format(x, form) for x in (self.low, self.median, self.high))
        return f"{median} ({low} to {high})"


def of(values):
    """The figure of one value a round."""
    return Figure(*map(float, np.percentile(values, (25, 50, 75))))


def ratio(over, under):
    """The figure of one quotient a round."""
    return of(np.divide(over, under))


def difference(more, less):
    """The figure of one difference a round, in milliseconds."""
    return of(np.subtract(more, less) * 1e3)


def exponent(values, costs):
    """The slope of log cost over log value, by least squares."""
    return float(np.polyfit(np.log(values), np.log(np.maximum(costs, 1e-9)), 1)[0])
