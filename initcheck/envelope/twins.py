"""Twins of a run: runs from the same start with random rounding errors at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TWINS = 8  # per seed
POOL = 2**20  # factors drawn once per chunk; each use starts at a random offset


@dataclass
class Rounding:
    """Multiplies numbers by 1 + N(0, 1) epsilon, so that they are off by one rounding error.

    Parameters are disturbed before every forward pass, as if they had been rounded differently, and
    so is each image's share in the gradient. The shares matter if a batch cancels: with ten images
    of each class in a hundred, the gradient of an all-zero network is exactly zero or the rounding
    error that is left, which Adam scales up to a full step.

    Starts are drawn in float32, whatever the dtype of training, and torch uses other kernels for
    that on a processor without AVX2. So if training is in float64, a twin's start is off by
    float32's rounding error. Zeros, ones and other powers of two are constants, not draws, and
    remain exact.

    Attributes:
        pool: factors, 1 + N(0, 1) epsilon.
        generator: draws the offsets into the pools.
        start: factors for the start; None if they are not needed, or after their use.
    """

    pool: Tensor
    generator: torch.Generator
    start: Tensor | None = None

    def parameters(self, leaves: Sequence[Tensor]) -> None:
        """Disturb every parameter in place."""
        with torch.no_grad():
            self._move_to(leaves[0])
            if self.start is not None:
                for parameter in leaves:
                    exact = parameter.frexp().mantissa.abs().mul_(2).remainder_(1) == 0
                    before = parameter[exact]
                    multiply(parameter, self.start, self.generator)
                    parameter[exact] = before
                self.start = None
            for parameter in leaves:
                multiply(parameter, self.pool, self.generator)

    def shares(self, shares: Tensor) -> Tensor:
        """A disturbed copy of the share of each image."""
        self._move_to(shares)
        disturbed = shares.clone()
        multiply(disturbed, self.pool, self.generator)
        return disturbed

    def _move_to(self, tensor: Tensor) -> None:
        """Move the pools, which are drawn on the CPU, to the tensor's device."""
        self.pool = self.pool.to(tensor.device)
        self.start = None if self.start is None else self.start.to(tensor.device)


def multiply(tensor: Tensor, pool: Tensor, generator: torch.Generator) -> None:
    """Multiply in place by consecutive factors of the pool, from a new offset whenever it ends.

    The factors follow the order of the tensor's numbers in memory.
    """
    dense = tensor
    if not tensor.is_contiguous():
        strides = tensor.stride()
        dense = tensor.permute(sorted(range(tensor.dim()), key=lambda axis: -strides[axis]))
    if not dense.is_contiguous():
        copy = tensor.contiguous()
        multiply(copy, pool, generator)
        tensor.copy_(copy)
        return
    flat = dense.view(-1)
    done = 0
    while done < len(flat):
        start = int(torch.randint(len(pool), (1,), generator=generator, device="cpu"))
        part = pool[start : start + len(flat) - done]
        flat[done : done + len(part)].mul_(part)
        done += len(part)
