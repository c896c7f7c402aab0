"""Tensors drawn in parts, as model-parallel code does: each part from its seed, or all from one."""

from __future__ import annotations

import torch
from torch import Tensor

from initcheck.initializers.factory import TensorInitializer, factory

LARGEST_SEED = 2**63 - 1


@factory
def shards_(law: TensorInitializer, parts: float, *, along: float = 0) -> TensorInitializer:
    """Parts of equal size along a dimension, each filled by ``law`` from a seed of its part."""
    return _in_parts(law, int(parts), int(along), equal=False)


@factory
def copied_(law: TensorInitializer, parts: float, *, along: float = 0) -> TensorInitializer:
    """Parts of equal size along a dimension, each filled by ``law`` from one seed, so all equal."""
    return _in_parts(law, int(parts), int(along), equal=True)


def different_seeds(generator: torch.Generator, parts: int) -> list[int]:
    """One seed per part."""
    return [_seed(generator) for _ in range(parts)]


def equal_seeds(generator: torch.Generator, parts: int) -> list[int]:
    """The same seed for each part."""
    return [_seed(generator)] * parts


def _seed(generator: torch.Generator) -> int:
    return int(torch.randint(LARGEST_SEED, (), generator=generator))


def _in_parts(law: TensorInitializer, parts: int, along: int, *, equal: bool) -> TensorInitializer:
    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        seeds = (equal_seeds if equal else different_seeds)(generator, parts)
        for piece, seed in zip(tensor.chunk(parts, along), seeds, strict=True):
            drawn = torch.empty_like(piece, memory_format=torch.contiguous_format)
            one = drawn.squeeze(0) if _stacked(piece) else drawn
            law(one, torch.Generator().manual_seed(seed))
            piece.copy_(drawn)
        return tensor

    return fill


def _stacked(piece: Tensor) -> bool:
    """Whether a part is one matrix of a stack, whose fans are the matrix's."""
    return piece.dim() == 3 and len(piece) == 1


@factory
def sparing_(law: TensorInitializer) -> TensorInitializer:
    """The values of ``law``, except in rows of zeros, which stay: padding rows and zero heads."""

    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        spared = rows_of_zeros(tensor)
        law(tensor, generator)
        tensor[spared] = 0
        return tensor

    return fill


def rows_of_zeros(tensor: Tensor) -> Tensor:
    """Which rows are zero, ``(rows,)`` bool."""
    return ~tensor.flatten(1).any(1)
