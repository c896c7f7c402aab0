"""Twins of a run: the same start, and rounding errors drawn at random at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

TWINS = 8  # a seed
POOL = 2**20  # normal numbers drawn once a chunk; twins read it at a new offset each time


@dataclass
class Rounding:
    """What makes a twin of a run: numbers off by one rounding error, N(0, 1) times epsilon.

    Parameters are off before every forward pass, as if each had been rounded otherwise, and so is
    the share of each image in the gradient. The latter matters where a batch cancels: ten images
    of a class among a hundred leave an all-zero network a gradient of exactly nothing, or of what
    rounding leaves, which Adam scales up to a full step.

    A start is drawn in float32 whatever it is trained in, and torch draws with other kernels on a
    processor without AVX2: where training is in float64, a twin's start is off by float32's
    rounding. Zeros, ones and other powers of two are no draws, and exact everywhere.
    """

    pool: Tensor
    generator: torch.Generator
    start: Tensor | None = None  # the pool for the start, until it was used

    def parameters(self, leaves: Sequence[Tensor]) -> None:
        """Multiply every parameter in place."""
        with torch.no_grad():
            self._follow(leaves[0])
            if self.start is not None:
                for parameter in leaves:
                    exact = parameter.frexp().mantissa.abs().mul_(2).remainder_(1) == 0
                    before = parameter[exact]
                    _multiply(parameter, self.start, self.generator)
                    parameter[exact] = before
                self.start = None
            for parameter in leaves:
                _multiply(parameter, self.pool, self.generator)

    def shares(self, shares: Tensor) -> Tensor:
        """Multiply a copy of what each image counts for."""
        self._follow(shares)
        off = shares.clone()
        _multiply(off, self.pool, self.generator)
        return off

    def _follow(self, tensor: Tensor) -> None:
        """Drawn on the CPU, whatever the device, the pools go where they are needed."""
        self.pool = self.pool.to(tensor.device)
        self.start = None if self.start is None else self.start.to(tensor.device)


def _multiply(parameter: Tensor, pool: Tensor, generator: torch.Generator) -> None:
    """Multiply by a stretch of the pool, read from a random place and round its end."""
    flat = parameter.view(-1)
    done = 0
    while done < len(flat):
        start = int(torch.randint(len(pool), (1,), generator=generator))
        part = pool[start : start + len(flat) - done]
        flat[done : done + len(part)].mul_(part)
        done += len(part)
