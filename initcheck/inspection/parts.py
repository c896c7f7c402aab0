"""Sums and products in float64 of tensors that would take twice their memory if converted whole."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_PART = 1 << 18  # numbers that are converted at once
_NARROW = frozenset({torch.float32, torch.bfloat16, torch.float16})


def sum_in_parts(first: Tensor, second: Tensor) -> Tensor:
    """The sum in float64, in parts, as torch would hold two more copies of a large gradient."""
    total = first.to(torch.float64, copy=True, memory_format=torch.contiguous_format)
    flat, other = total.view(-1), second.reshape(-1)
    for start in range(0, len(flat), _PART):
        flat[start : start + _PART].add_(other[start : start + _PART])
    return total


def equal_shapes(args: tuple[Any, ...]) -> bool:
    """Whether these are two dense tensors of one shape, which is not that of a single number."""
    return len(args) == 2 and all(
        isinstance(each, Tensor) and each.is_floating_point() and each.layout == torch.strided
        and each.dim() > 0 and each.shape == args[0].shape
        for each in args
    )  # fmt: skip


def product_in_parts(first: Tensor, second: Tensor) -> Tensor | None:
    """The product of two matrices in float64, a part of the larger one at a time.

    None if the larger one is small or in float64 already, so that nothing is saved.

    Args:
        first: shape (m, k), dense and real.
        second: shape (k, n), the same.
    """
    larger = first if first.numel() > second.numel() else second
    if larger.numel() <= _PART or larger.dtype not in _NARROW:
        return None
    result = torch.empty(len(first), second.shape[1], dtype=torch.float64, device=first.device)
    if larger is second:
        _multiply(first.double(), second, result)
    else:
        _multiply(second.t().double(), first.t(), result.t())
    return result


def _multiply(narrow: Tensor, large: Tensor, result: Tensor) -> None:
    """Write the product of a matrix in float64 and a large one; shapes (m, k), (k, n), (m, n)."""
    inner, columns = large.shape
    if columns >= inner:
        step = max(_PART // inner, 1)
        for start in range(0, columns, step):
            part = slice(start, start + step)
            result[:, part] = narrow @ large[:, part].double()
        return
    step = max(_PART // columns, 1)
    result.zero_()
    for start in range(0, inner, step):
        part = slice(start, start + step)
        result.addmm_(narrow[:, part], large[part].double())
