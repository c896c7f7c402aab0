"""How far each seed is from its own record. The typical seed's r hides what few seeds show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from initcheck.envelope.compare import CHAOS, distance
from initcheck.envelope.ways import apart
from initcheck.trajectory.reference import Reference, judged_losses, stacked
from initcheck.trajectory.traces import Trace

#: In envelopes: the largest distance of an unchanged loop; docs/unchanged.md says why.
FACTOR = 10.0


@dataclass(frozen=True)
class OfSeed:
    """How far one seed is from its record.

    Attributes:
        seed: the seed.
        r: the largest distance in envelopes, over the losses and tensors at the steps at which they
            are judged.
        first_step: the first judged step outside, or None.
        outside: the tensors outside at that step with their distance, farthest first; empty if only
            the loss is.
        loss_alone: whether the loss is outside and no tensor is, at any step.
        allowed: how far a seed may be: see ``allowed``.
        coarse: whether it computes in bfloat16 or float16 in places; then it cannot have changed
            alone. Twins do not make all the errors there that another order of sums makes: with
            two threads in place of one, the gradient of a LayerNorm's gain had another sign in one
            place, and the seed was 112 envelopes away.
        nearest: the smallest r of this seed's run and its twins of today, up to the first that
            follows the record; None if no twin was run.
    """

    seed: int
    r: float
    first_step: int | None = None
    outside: tuple[tuple[str, float], ...] = ()
    loss_alone: bool = False
    allowed: float = FACTOR
    coarse: bool = False
    nearest: float | None = None

    @property
    def left(self) -> bool:
        """Whether the seed's run is outside."""
        return not self.r <= self.allowed

    @property
    def changed(self) -> bool:
        """Whether the seed's run is outside, and rounding alone does not explain it.

        Before its twins have run, this is whether they are needed.
        """
        explained = self.nearest is not None and self.nearest <= self.allowed
        return self.left and not explained and not self.coarse

    @property
    def tensor(self) -> str:
        """The tensor that is farthest outside at the first step outside; empty for the loss."""
        return self.outside[0][0] if self.outside else ""

    @property
    def text(self) -> str:
        """How far the seed is, and what that means, without a full stop at the end."""
        text = f"seed {self.seed} is {self.r:.3g} envelopes away"
        if self.left and self.coarse:
            return (
                f"{text}. It computes in bfloat16 or float16 in places, where another order of "
                "sums can move one seed so far, so only the typical seed decides"
            )
        if self.nearest is None:
            return text
        if self.changed:
            return f"{text}, and none of its twins of today is nearer than {self.nearest:.3g}"
        return (
            f"{text}, and rounding alone explains it: a twin of this run, made now, follows the "
            f"record within {self.nearest:.3g}"
        )

    def as_json(self) -> dict[str, Any]:
        """Plain data; infinities are null."""
        r, nearest = (
            each if each is not None and math.isfinite(each) else None
            for each in (self.r, self.nearest)
        )
        return {
            "seed": self.seed, "r": r, "allowed": self.allowed, "first_step": self.first_step,
            "tensor": self.tensor or None, "nearest": nearest, "coarse": self.coarse,
            "changed": self.changed, "text": self.text,
        }  # fmt: skip


def allowed(typical: float) -> float:
    """How far a single seed may be, in envelopes, where the typical one is so far.

    Another kernel may round more coarsely than the twins do, and moves all seeds then: with other
    convolutions, the typical seed was 6.9 envelopes away, one seed 17, and none of its twins nearer
    than 13. So a seed may be ``FACTOR`` times as far as the typical one, or as one envelope.
    """
    return FACTOR * max(1.0, typical) if typical <= FACTOR else FACTOR


def of_seed(trace: Trace, reference: Reference, judged: Tensor, may: float) -> OfSeed:
    """Compare a run with the record of its seed.

    Args:
        trace: a run with a seed of the reference, or a twin of it.
        reference: what was recorded.
        judged: ``(tensors, J)`` bool, where the reference's tensors are judged.
        may: how far the seed may be, in envelopes.
    """
    row, steps, names = reference.seeds.index(trace.seed), reference.judged, [*reference.tensors]
    now = stacked([trace], names, steps)
    table = torch.stack(
        [
            _envelopes(apart(now[name][0], each.ways[row]), each.envelope)
            for name, each in reference.tensors.items()
        ]
    ).where(judged, 0.0)
    far = distance(judged_losses([trace], steps)[0], reference.losses[row])
    losses = _envelopes(far, reference.loss_envelope).where(reference.loss_envelope <= CHAOS, 0.0)
    r = torch.maximum(table.amax(0), losses)  # (J,)
    beyond = (r > may).nonzero()
    if not len(beyond):
        return OfSeed(trace.seed, float(r.max()), allowed=may, coarse=trace.coarse)
    first = int(beyond[0, 0])
    column = table[:, first]
    order = column.argsort(descending=True, stable=True).tolist()
    outside = tuple((names[k], float(column[k])) for k in order if column[k] > may)
    alone = not bool((table > may).any())
    return OfSeed(trace.seed, float(r.max()), steps[first], outside, alone, may, trace.coarse)


def _envelopes(far: Tensor, width: Tensor) -> Tensor:
    """Distances ``(J,)`` in envelopes; infinite where one is not finite."""
    return (far / width).masked_fill(far == 0, 0.0).nan_to_num(nan=torch.inf, posinf=torch.inf)
