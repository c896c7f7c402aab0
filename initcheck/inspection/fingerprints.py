"""Fingerprints of tensors: their bits as a digest, and their law as moments and a histogram."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from scipy import special
from torch import Tensor

from initcheck.inspection.fans import chunks
from initcheck.inspection.laws import Measured, Moments, differ
from initcheck.inspection.tensors import Named, digest

#: The histogram's edges, in standard deviations from the mean of the tensor that is recorded.
EDGES = tuple(n / 2 for n in range(-5, 6))
FEW = 32  # entries: too few to tell two laws from each other
EXPECTED = 20  # entries in a bin of the histogram; bins with fewer are joined with the next
TESTS = 3  # of each pair of tensors
SAMPLE = 2**16  # entries of the histogram, at least, if there are so many
NEIGHBOURS = 2**15  # entries that are searched for repeated ones
#: Relative distance by which rounding may move the moments of a table.
ROUNDING = 1e-5


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a tensor.

    Attributes:
        digest: of dtype, shape and bits, hexadecimal.
        law: as check ``scale`` names it; empty for tensors that are not of real numbers.
        moments: None for tensors that are not of finite real numbers.
        edges: of the histogram, in units of the entries.
        counts: of some entries between the edges; one more than edges.
        repeats: how often an entry is repeated on average, as in copied rows.
    """

    shape: tuple[int, ...]
    dtype: str
    digest: str
    law: str = ""
    moments: Moments | None = None
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    repeats: float = 1.0


@dataclass(frozen=True)
class Recorded:
    """A start that was kept in a file.

    Attributes:
        model: the name of its build function.
        torch: the version of torch that built it.
        tensors: by name.
    """

    model: str
    torch: str
    tensors: Mapping[str, Fingerprint]


def fingerprint(
    named: Named, measured: Measured | None, edges: tuple[float, ...] = ()
) -> Fingerprint:
    """The fingerprint of a tensor, with a histogram between edges that follow from it or are given.

    Args:
        named: the tensor.
        measured: what check ``scale`` measured; None if it did not.
        edges: of an earlier histogram.
    """
    tensor = named.tensor
    dtype = str(tensor.dtype).removeprefix("torch.")
    found = Fingerprint(tuple(tensor.shape), dtype, digest(tensor).hex())
    if measured is None or not math.isfinite(measured.moments.kurtosis):
        return found
    moments = measured.moments
    if not all(map(math.isfinite, (moments.mean, moments.variance, moments.low, moments.high))):
        return found
    if moments.variance and not edges:
        deviation = moments.variance**0.5
        edges = tuple(moments.mean + edge * deviation for edge in EDGES)
    counts = _histogram(named, edges) if edges else ()
    return Fingerprint(
        found.shape, dtype, found.digest, measured.law, moments, edges, counts, _repeats(tensor)
    )


def _histogram(named: Named, edges: tuple[float, ...]) -> tuple[int, ...]:
    """Counts of up to twice `SAMPLE` entries, evenly spaced."""
    limits = torch.tensor(edges, dtype=torch.float64)
    counts = torch.zeros(len(edges) + 1, dtype=torch.int64)
    step = max(1, named.tensor.numel() // SAMPLE)
    for chunk in chunks(named):
        some = chunk[::step].to("cpu", torch.float64)
        counts += torch.bincount(torch.bucketize(some, limits), minlength=len(edges) + 1)
    return tuple(counts.tolist())


def _repeats(tensor: Tensor) -> float:
    """Only single precision has so many values that random entries are hardly ever equal."""
    if tensor.element_size() < 4:
        return 1.0
    sample = tensor.detach().flatten()[:NEIGHBOURS]
    return len(sample) / max(len(torch.unique(sample)), 1)


def other_law(first: Fingerprint, second: Fingerprint, *, alpha: float) -> str:
    """How the laws of two random tensors differ, in words; empty if no test tells them apart.

    The tests are chi square of both histograms between the same edges, F of the variances, which
    allows for heavy tails, and a normal test of the means.

    Args:
        first: the earlier one.
        second: the later one, with a histogram between the edges of the first.
        alpha: the probability to tell two draws of one law apart, in any of the tests.
    """
    one, two = first.moments, second.moments
    if one is None or two is None:
        return "its entries were finite real numbers and are not, or the other way round"
    if min(one.count, two.count) < FEW:
        return ""
    repeats = max(1.0, first.repeats, second.repeats)
    one, two = _thinned(one, repeats), _thinned(two, repeats)
    level = alpha / TESTS
    if differ(one, two) < level:
        return f"the standard deviation was {one.variance**0.5:.4g} and is {two.variance**0.5:.4g}"
    error = math.sqrt(one.variance / one.count + two.variance / two.count)
    if error and 2 * special.ndtr(-abs(one.mean - two.mean) / error) < level:
        return f"the mean was {one.mean:.4g} and is {two.mean:.4g}"
    if first.edges == second.edges and _homogeneous(first, second, repeats) < level:
        return "the shape of the law is another: the histograms differ"
    return ""


def _thinned(moments: Moments, repeats: float) -> Moments:
    count = max(int(moments.count / repeats), 2)
    return Moments(
        count, moments.mean, moments.variance, moments.kurtosis, moments.low, moments.high
    )


def _homogeneous(first: Fingerprint, second: Fingerprint, repeats: float) -> float:
    """The p value of two histograms being from one law, by chi square."""
    totals = sum(first.counts), sum(second.counts)
    share = min(totals) / sum(totals) / repeats
    bins: list[list[int]] = [[0, 0]]
    for pair in zip(first.counts, second.counts, strict=True):
        if sum(bins[-1]) * share >= EXPECTED:
            bins.append([0, 0])
        bins[-1] = [old + new for old, new in zip(bins[-1], pair, strict=True)]
    if len(bins) > 1 and sum(bins[-1]) * share < EXPECTED:
        last = bins.pop()
        bins[-1] = [old + new for old, new in zip(bins[-1], last, strict=True)]
    if len(bins) < 2:
        return 1.0
    statistic = 0.0
    for both in bins:
        for observed, total in zip(both, totals, strict=True):
            expected = sum(both) * total / sum(totals)
            statistic += (observed - expected) ** 2 / expected
    return float(special.chdtrc(len(bins) - 1, statistic / repeats))


def other_table(first: Fingerprint, second: Fingerprint) -> bool:
    """Whether two tables without random numbers differ by more than rounding."""
    one, two = first.moments, second.moments
    if one is None or two is None:
        return True
    size = max(abs(one.low), abs(one.high))
    pairs = [(one.low, two.low), (one.high, two.high), (one.mean, two.mean)]
    pairs.append((one.variance**0.5, two.variance**0.5))
    return any(abs(a - b) > ROUNDING * size for a, b in pairs)
