"""The rounding envelope of each tensor's way from its start, and how far a run is outside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from initcheck.envelope.compare import FLOOR, typical

WAY_CHAOS = 0.03  # share of its way by which rounding may move a tensor that is judged
SHOWN = 30  # stored numbers are rounded to this part of an envelope

#: By tensor's name: ``(S, J, K + 1)``, for each seed and judged step K products and the norm.
Sketches = Mapping[str, Tensor]


def apart(now: Tensor, reference: Tensor) -> Tensor:
    """The distance between the ends of ways, estimated from their sketches.

    Args:
        now: ``(..., K + 1)`` as ``sketch`` returns them.
        reference: the same shape.

    Returns:
        ``(...)``, in the tensor's own unit; infinite where only one of the two is finite. It is 0
        where both are NaN: the tensor is not there.
    """
    one, two = now[..., :-1], reference[..., :-1]
    difference = (one - two).masked_fill((one == two) | (one.isnan() & two.isnan()), 0.0)
    far = difference.square().mean(-1).sqrt()
    return far.nan_to_num(nan=torch.inf, posinf=torch.inf)


def growth(reference: Sketches, twins: Sketches, eps: Mapping[str, float]) -> dict[str, Tensor]:
    """The envelope ``(J,)`` of each tensor: the running maximum of the twins' distance.

    Args:
        reference: of S seeds.
        twins: ``(T * S, J, K + 1)``; each of T twins has the seeds in the reference's order.
        eps: the machine epsilon of each tensor's dtype; 0 for integers. The envelope is at least
            ``FLOOR`` epsilons of the way.
    """
    found = {}
    for name, ways in reference.items():
        disturbed = twins[name]
        far = apart(disturbed, ways.repeat(len(disturbed) // len(ways), 1, 1)).amax(0)
        floor = FLOOR * eps[name] * ways[..., -1].nan_to_num(nan=0.0).amax(0)
        found[name] = far.maximum(floor).cummax(0).values
    return found


@dataclass(frozen=True)
class Outside:
    """How far the tensors of a run are outside their envelopes.

    Attributes:
        names: the tensors, in the order of the reference.
        r: ``(names, J)``, the distance in envelopes of the typical seed; 0 where it is not judged.
        judged: ``(names, J)``, whether rounding alone moves the tensor by less than ``WAY_CHAOS``.
    """

    names: tuple[str, ...]
    r: Tensor
    judged: Tensor

    @property
    def largest(self) -> float | None:
        """The largest r, or None if no tensor is judged at any step."""
        return float(self.r.max()) if self.judged.any() else None

    def first(self, factor: float) -> tuple[int, str] | None:
        """The first judged step at which a tensor is outside, as an index, and the farthest one."""
        steps = (self.r > factor).any(0).nonzero()
        if not len(steps):
            return None
        step = int(steps[0, 0])
        return step, self.names[int(self.r[:, step].argmax())]


def outside(now: Sketches, reference: Sketches, envelope: Mapping[str, Tensor]) -> Outside:
    """Compare the ways of a run with those of its reference, on the same seeds and steps.

    A tensor that does not move in the reference must not move now, except for rounding.
    """
    names = tuple(reference)
    steps = len(next(iter(envelope.values()))) if names else 0
    r, judged = torch.zeros(len(names), steps, dtype=torch.float64), []
    for row, name in enumerate(names):
        far, width = apart(now[name], reference[name][: len(now[name])]), envelope[name]
        ratio = (far / width).masked_fill(far == 0, 0.0).nan_to_num(nan=torch.inf, posinf=torch.inf)
        gone = reference[name][..., -1].kthvalue((len(reference[name]) + 1) // 2, dim=0).values
        calm = (gone == 0) | (width <= WAY_CHAOS * gone)
        r[row] = typical(ratio).where(calm, 0.0)
        judged.append(calm)
    return Outside(names, r, torch.stack(judged) if judged else r.bool())


def rounded(value: float, width: float) -> float:
    """The value with as many decimals as its envelope's width asks for, so that files are short.

    The last decimal is worth a thirtieth of the width or less.
    """
    if not (math.isfinite(value) and math.isfinite(width)) or width <= 0:
        return value
    return round(value, -math.floor(math.log10(width / SHOWN)))
