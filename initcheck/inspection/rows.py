"""Splits a batch for a large module, so that its activations take no more than its weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from initcheck.inspection.passes import LARGE

#: In training, outputs are kept for the backward pass, with those of layers without parameters.
_KEPT = 3
_NORMS = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 -- has no public name
_DROPOUTS = nn.modules.dropout._DropoutNd  # noqa: SLF001 -- has no public name


def samples_of(batch: Any) -> int:
    """The number of samples; 0 if the batch has no such dimension, or they are all equal."""
    tensors = [each for each in tree_leaves(batch) if isinstance(each, Tensor) and each.dim()]
    count = len(tensors[0]) if tensors else 0
    same = count > 1 and any(
        len(each) == count and bool((each != each[:1]).any()) for each in tensors[:1]
    )
    return count if same else 0


def may_split(module: nn.Module, samples: int) -> bool:
    """Whether a module is large, and no part mixes samples or draws random numbers, as known."""
    return (
        samples > 1
        and sum(each.numel() for each in module.parameters()) > LARGE
        and not any(
            isinstance(each, _NORMS) or (isinstance(each, _DROPOUTS) and each.p > 0)
            for each in module.modules()
        )
    )


def at_once(module: nn.Module, outputs: int, samples: int) -> int:
    """How many samples may be computed at once, if all give so many outputs; 1 at least."""
    numbers = sum(each.numel() for each in module.parameters())
    return max(numbers * samples // max(_KEPT * outputs, 1), 1)


def split(batch: Any, size: int) -> list[tuple[Any, float]]:
    """Parts of a batch with so many samples, each with its share; the whole if size is 0.

    Tensors whose first dimension is not that of the first tensor are given to every part.
    """
    count = samples_of(batch)
    if not size or count <= size:
        return [(batch, 1.0)]

    def part(first: int) -> Any:
        return tree_map(
            lambda leaf: leaf[first : first + size]
            if isinstance(leaf, Tensor) and leaf.dim() and len(leaf) == count else leaf,
            batch,
        )  # fmt: skip

    return [(part(first), min(size, count - first) / count) for first in range(0, count, size)]


def merged(known: Tensor | None, direction: Tensor) -> Tensor:
    """The direction of one part, with those of another where it has none."""
    if known is None or direction.dtype != torch.int8:
        return direction
    return known.copy_(torch.where(known == 0, direction, known))
