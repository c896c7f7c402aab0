"""Is training unchanged: does it follow the recorded losses as closely as rounding allows?

Twins are runs from the same start that differ by rounding only. They show how fast rounding errors
grow along a trajectory. Per seed, eight twins are off by one rounding error in every number at
every step. One more twin computes in float64, so its distance is the size of the reference's
rounding errors. The envelope is the largest distance of the twins so far. Training is unchanged
while it stays within ten envelopes of the record. The idea is that of CESM's ensemble consistency
test: Baker et al. 2015, GMD 8, 2829; its ultra-fast variant: Milroy et al. 2018, GMD 11, 697.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from initcheck.envelope.fingerprints import BEYOND

# In envelopes. The largest innocent change that was measured on a CPU is a decade below; that of an
# accelerator, by losses alone, a third of it. A fault need not exceed it on every arm. By losses
# alone, gradients in bfloat16 exceeded it on 26 of 36 arms; with sketches, on 37 of 39. The other
# two are judged after a single step of Adam, which hardly depends on the size of a gradient.
FACTOR = 10.0
CHAOS = 1e-3  # relative distance of twins above which a step is not judged
FLOOR = 4.0  # smallest envelope, in machine epsilons: losses cannot be compared more closely
STANDSTILL = 100.0  # envelopes: if the loss moves less, following the curve proves nothing


def steps_judged(steps: int) -> list[int]:
    """The steps 0, 1, 2, 4, 8, … and the last one; none without steps."""
    powers = [2**k for k in range(steps.bit_length()) if 2**k < steps]
    return sorted({0, *powers, steps - 1}) if steps else []


def curves(losses: Tensor, steps: Sequence[int]) -> Tensor:
    """The losses at the judged steps: ``(R, K)``."""
    return losses[:, list(steps)]


def growth(reference: Tensor, twins: Tensor, eps: float) -> Tensor:
    """The envelope ``(K,)``: running maximum of the twins' distance, at least ``FLOOR`` times eps.

    Args:
        reference: ``(S, K)`` losses.
        twins: ``(T * S, K)`` losses; each of T twins has the seeds in the reference's order.
        eps: machine epsilon of the arithmetic.
    """
    apart = distance(twins, reference.repeat(len(twins) // len(reference), 1)).amax(0)
    return apart.nan_to_num(nan=BEYOND).clamp(FLOOR * eps, BEYOND).cummax(0).values


def distance(now: Tensor, reference: Tensor) -> Tensor:
    """Relative distance of losses; 0 for bit-identical ones, infinities included."""
    apart = (now - reference).abs() / reference.abs().clamp(min=torch.finfo(torch.float64).tiny)
    return apart.masked_fill(now == reference, 0.0)


@dataclass(frozen=True)
class Departure:
    """How an arm compares with its reference.

    Attributes:
        r: distance in envelopes, lower median over seeds, largest over the judged steps, of the
            losses and of the tensors' ways; None if neither is judged.
        loss_r: the same of the losses alone; None if they are not judged.
        first_step: the first step at which the distance exceeds ``FACTOR``. A tensor is compared
            after the update of a step, and a loss before it.
        tensor: the tensor that is farthest away at that step, if one is outside.
        tensor_r: its distance at that step, in envelopes.
        first_layer: the first layer whose start, activation or gradient differs at step 0.
        start: whether the initial parameters equal the recorded ones within ``START_TOLERANCE``,
            and the first batch holds the recorded images.
        alike: whether seeds with different starts or first batches are all identical now.
        why_not: why r is None, or what it leaves out.
    """

    r: float | None
    loss_r: float | None = None
    first_step: int | None = None
    tensor: str | None = None
    tensor_r: float | None = None
    first_layer: str | None = None
    start: bool = True
    alike: bool = False
    why_not: str = ""

    @property
    def left(self) -> bool:
        """Whether training has left its envelope."""
        return self.r is not None and not self.r <= FACTOR


def envelopes(losses: Tensor, recorded: dict[str, Any]) -> tuple[Tensor, str]:
    """The distance of the typical seed from its record at each judged step.

    Args:
        losses: ``(S, K)`` at the recorded steps, of the first S recorded seeds.
        recorded: the reference, as ``initcheck.gate.reference.record`` returns it.

    Returns:
        The distance ``(K,)`` in envelopes, and a reason if it cannot be judged, else an empty text.
        The distance is 0 at steps that rounding makes chaotic, and infinite where a loss is not
        finite, since all recorded losses are finite.
    """
    reference = torch.tensor(recorded["losses"], dtype=torch.float64)[: len(losses)]
    envelope = torch.tensor(recorded["envelope"], dtype=torch.float64)
    calm, finite = envelope <= CHAOS, losses.isfinite().all(0)
    if not calm.any() and finite.all():
        return envelope, f"rounding alone moves its loss by more than {CHAOS:g}"
    if finite.all() and _stands_still(reference, envelope, calm):
        return envelope, "its loss hardly moves: exact claims watch it"
    ratio = distance(losses, reference) / envelope
    middle = typical(ratio.nan_to_num(nan=torch.inf, posinf=torch.inf))
    return middle.where(calm, 0.0).where(finite, torch.inf), ""


def typical(ratio: Tensor) -> Tensor:
    """The lower median over seeds: ``(S, K)`` to ``(K,)``.

    If rounding decides the sign of one ReLU's input, a single run jumps by a thousand envelopes
    although nothing has changed: 17 of 64 sets of four twin runs had such a jump. A change in a
    release affects every seed, so three of four seeds must be outside. If any seed's loss is not
    finite, the distance is infinite.
    """
    middle = ratio.kthvalue((len(ratio) + 1) // 2, dim=0).values
    return middle.masked_fill(ratio.isinf().any(0), torch.inf)


def _stands_still(reference: Tensor, envelope: Tensor, calm: Tensor) -> bool:
    moved = distance(reference, reference[:, :1])[:, calm].amax(0)
    return bool((moved < STANDSTILL * envelope[calm]).all())
