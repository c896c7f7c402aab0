"""A check of extreme entries: not finite, or beyond what so many draws of a law allow."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy import special
from torch import Tensor

from initcheck.inspection.findings import Finding
from initcheck.inspection.start import Start, by_name

#: The probability that a module of normal, truncated or uniform weights is judged otherwise.
RATE = 1e-4
FEW = 64  # entries: too few for quantiles
SAMPLE = 2**14  # entries that give the quantiles
ATOM = 2  # equal entries: two random numbers so far out are not equal by chance
SHARE = 0.5  # of the entries beyond the limit that are one of the two ends
ROUNDING = 1.02  # a limit is rounded to bfloat16
QUARTILE = 0.6745  # of the normal law with variance 1


@dataclass(frozen=True)
class Beyond:
    """Entries that are farther out than so many draws of a normal law allow.

    Attributes:
        where: which entries, as a tensor of bool; flat.
        farthest: the largest distance from the median, in standard deviations of the middle half.
        limit: the distance that is allowed.
        atoms: how many entries equal one of the two ends, if at least two equal the same.
        end: the end that more entries equal.
    """

    where: Tensor
    farthest: float
    limit: float
    atoms: int
    end: float


def check_outliers(start: Start) -> Iterator[Finding]:
    """Parameters with entries that are not finite, or that pile up far outside of their law.

    A few large entries may be meant. They are if they are at the same places for both seeds, as in
    a diagonal, or if they differ from one another, as under a law with heavy tails.
    """
    yield from _not_finite(start)
    drawn = [
        each for name, each in start.tensors.items()
        if each.parameter and name in start.laws and name not in start.fixed
    ]  # fmt: skip
    found = []
    for each in drawn:
        measured = start.laws[each.name].moments
        entries = beyond(each.tensor, RATE / len(drawn), (measured.low, measured.high))
        if entries is not None and entries.atoms:
            found.append((each, entries))
    other = by_name(start.subject(start.seeds[1], None).module) if found else {}
    for each, entries in found:
        again = other.get(each.name)
        second = beyond(again.tensor, RATE / len(drawn)) if again is not None else None
        if second is None or torch.equal(second.where, entries.where):
            continue
        yield start.finding(
            "outliers", "fail", [each], value=entries.farthest,
            message=f"{entries.atoms} of {each.tensor.numel()} entries are exactly "
            f"{entries.end:.4g}, at random places: {entries.farthest:.3g} standard deviations of "
            f"the others, of which so many draws reach {entries.limit:.3g}.",
            repair="Draw in float32 and round afterwards: in low precision a uniform number may be "
            "0 or 1, where the inverse of a distribution is infinite.",
        )  # fmt: skip


def _not_finite(start: Start) -> Iterator[Finding]:
    """Infinite or NaN entries, also if memory that nobody writes has another value."""
    suspects = [
        each for name, each in start.tensors.items()
        if each.trainable and name in start.laws
        and not math.isfinite(start.laws[name].moments.low + start.laws[name].moments.high)
    ]  # fmt: skip
    other = by_name(start.subject(start.seeds[0], "number").module) if suspects else {}
    for each in suspects:
        again = other.get(each.name)
        count = int((~torch.isfinite(again.tensor.detach())).sum()) if again is not None else 0
        if count:
            yield start.finding(
                "outliers", "fail", [each], value=float(count),
                message=f"{count} of {each.tensor.numel()} entries are infinite or NaN.",
                repair="Look for a division by zero, a logarithm of zero, or low precision.",
            )  # fmt: skip


@torch.no_grad()
def beyond(tensor: Tensor, alpha: float, ends: tuple[float, float] | None = None) -> Beyond | None:
    """The entries beyond what so many draws of a normal law allow; None if there are none.

    The law's scale is that of the middle half of the entries, which outliers do not change.

    Args:
        tensor: of real numbers.
        alpha: the probability that one of its entries is beyond the limit by chance.
        ends: the smallest and the largest entry, if they are known.
    """
    flat = tensor.detach().flatten()
    if len(flat) < FEW:
        return None
    sample = flat[:: max(1, len(flat) // SAMPLE)].float().sort().values
    low, middle, high = (float(sample[int(q * (len(sample) - 1))]) for q in (0.25, 0.5, 0.75))
    spread = (high - low) / 2 / QUARTILE
    if not spread > 0 or not math.isfinite(spread):
        return None
    # Quantiles of few entries are uncertain: of 64, their distance may be a third too small.
    limit = float(-special.ndtri(alpha / 2 / len(flat))) * ROUNDING
    limit *= 1 + 4 / math.sqrt(min(len(sample), len(flat)))
    least, most = ends if ends is not None else (float(flat.min()), float(flat.max()))
    farthest = max(middle - least, most - middle) / spread
    if not limit < farthest < math.inf:
        return None
    where = ((flat - middle).abs() > limit * spread).cpu()
    counts = {end: int(((flat == end).cpu() & where).sum()) for end in (least, most)}
    atoms = sum(count for count in counts.values() if count >= ATOM)
    end = max(counts, key=counts.__getitem__)
    piled = atoms if atoms >= SHARE * int(where.sum()) else 0
    return Beyond(where, farthest, limit, piled, end)
