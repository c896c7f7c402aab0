"""Is training unchanged: does it follow the recorded trajectory as closely as rounding allows?

Twins, runs of the same start that differ by rounding alone, show how fast rounding grows along a
trajectory: eight a seed are off by one rounding error in every number at every step, and one
computes in float64, so that it is as far away as the reference's own rounding errors are large. A
run belongs to the recorded ones while it stays within ten times that envelope. The idea is that of
CESM's ensemble consistency test: Baker et al. 2015, GMD 8, 2829; its ultra-fast variant: Milroy et
al. 2018, GMD 11, 697.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from initcheck.envelope.fingerprints import (
    BEYOND,
)

# Envelopes: a decade above every innocent change measured. A fault need not leave it on every arm:
# of 15, gradients in bfloat16 leave it on 13, and a learning rate off by a thousandth on 14.
FACTOR = 10.0
CHAOS = 1e-3  # relative distance of twins beyond which a step is no longer judged
FLOOR = 4.0  # machine epsilons: a loss cannot be compared more closely
STANDSTILL = 100.0  # envelopes that the loss must move by, else staying on the curve proves nothing


def steps_judged(steps: int) -> list[int]:
    """Steps 0, 1, 2, 4, 8, … and the last one."""
    powers = [2**k for k in range(steps.bit_length()) if 2**k < steps]
    return sorted({0, *powers, steps - 1}) if steps else []


def curves(losses: Tensor, steps: Sequence[int]) -> Tensor:
    """The losses at the judged steps: ``(R, K)``."""
    return losses[:, list(steps)]


def growth(reference: Tensor, twins: Tensor, eps: float) -> Tensor:
    """The envelope ``(K,)``: running maximum of the twins' relative distance, floored.

    Args:
        reference: ``(S, K)`` losses.
        twins: ``(T * S, K)``, twin by twin, each with the seeds in the reference's order.
        eps: machine epsilon of the arithmetic.
    """
    apart = distance(twins, reference.repeat(len(twins) // len(reference), 1)).amax(0)
    return apart.nan_to_num(nan=BEYOND).clamp(FLOOR * eps, BEYOND).cummax(0).values


def distance(now: Tensor, reference: Tensor) -> Tensor:
    """Relative distance of losses; two that agree in bits are at 0, infinities included."""
    apart = (now - reference).abs() / reference.abs().clamp(min=torch.finfo(torch.float64).tiny)
    return apart.masked_fill(now == reference, 0.0)


@dataclass(frozen=True)
class Departure:
    """How an arm compares with its reference.

    Attributes:
        r: distance in envelopes, lower median over seeds, largest over the judged steps; None where
            not judged.
        first_step: first step at which r exceeds the factor.
        first_layer: first layer whose start, activation or gradient differs at step 0.
        start: whether the initial parameters are as recorded, within ``START_TOLERANCE``, and the
            first batch holds the recorded images.
        alike: whether seeds that started apart, or saw other images first, are all alike now.
        why_not: why r is None.
    """

    r: float | None
    first_step: int | None = None
    first_layer: str | None = None
    start: bool = True
    alike: bool = False
    why_not: str = ""

    @property
    def left(self) -> bool:
        """Whether training has changed."""
        return self.r is not None and not self.r <= FACTOR


def envelopes(losses: Tensor, recorded: dict[str, Any]) -> tuple[Tensor, str]:
    """How far the typical seed is from its record at each judged step, or why nothing is judged.

    Args:
        losses: ``(S, K)`` at the recorded steps, of the first S recorded seeds.
        recorded: the reference, as ``record`` makes it.

    Returns:
        ``(K,)`` in envelopes, 0 at steps that rounding makes chaotic, infinity at any step where
        a loss is not finite, as none is on record; and a reason, or nothing.
    """
    reference = torch.tensor(recorded["losses"], dtype=torch.float64)[: len(losses)]
    envelope = torch.tensor(recorded["envelope"], dtype=torch.float64)
    calm, finite = envelope <= CHAOS, losses.isfinite().all(0)
    if not calm.any() and finite.all():
        return envelope, f"rounding alone moves its loss by more than {CHAOS:g}"
    if finite.all() and _stands_still(reference, envelope, calm):
        return envelope, "its loss hardly moves: exact claims watch it"
    ratio = distance(losses, reference) / envelope
    typical = _typical(ratio.nan_to_num(nan=torch.inf, posinf=torch.inf))
    return typical.where(calm, 0.0).where(finite, torch.inf), ""


def _typical(ratio: Tensor) -> Tensor:
    """The lower median over seeds: ``(S, K)`` to ``(K,)``.

    Where rounding decides the sign of one ReLU's input, a single run jumps by a thousand envelopes
    though nothing has changed: of 64 sets of four twin runs, 17 held such a jump. What a release
    changes, it changes for every seed; so of four seeds, three must be outside. A loss that is not
    finite in any of them is infinitely far away.
    """
    typical = ratio.kthvalue((len(ratio) + 1) // 2, dim=0).values
    return typical.masked_fill(ratio.isinf().any(0), torch.inf)


def _stands_still(reference: Tensor, envelope: Tensor, calm: Tensor) -> bool:
    moved = distance(reference, reference[:, :1])[:, calm].amax(0)
    return bool((moved < STANDSTILL * envelope[calm]).all())
