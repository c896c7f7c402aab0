"""Short summaries of gradients, so that two can be compared when only one fits into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from initcheck.inspection.tensors import bits, why_not_judged

#: Numbers in a summary. The length of a difference is known to sqrt(2 / 1024), 4 %, from it.
WIDTH = 1024
_ROWS = 1024  # of WIDTH numbers are converted to float64 at once
_SIGN = 65_536  # length of a pattern of random signs or bits, which is repeated


def sketch(gradient: Tensor) -> Tensor:
    """Sums of the entries with random signs, in float64 on the CPU; shape (1024,) at most.

    The squared distance of two summaries is, in the mean over signs, that of the gradients. A
    tensor with up to 1024 entries is its own summary.
    """
    gradient = gradient.detach()
    if gradient.layout != torch.strided:
        gradient = gradient.to_dense()
    if gradient.is_complex():
        gradient = torch.view_as_real(gradient)
    flat = gradient.reshape(-1)
    if len(flat) <= WIDTH:
        return flat.cpu().double()
    rows = len(flat) // WIDTH
    signs = _signs(rows)
    total = torch.zeros(WIDTH, dtype=torch.float64)
    table = flat[: rows * WIDTH].view(rows, WIDTH)
    for first in range(0, rows, _ROWS):
        part = table[first : first + _ROWS].cpu().double()
        total += signs[first : first + len(part)] @ part
    rest = flat[rows * WIDTH :].cpu().double()
    total[: len(rest)] += rest
    return total


def length(summary: Tensor) -> float:
    """The length of the gradient with this summary."""
    return float(summary.norm())


@cache
def _pattern() -> Tensor:
    generator = torch.Generator().manual_seed(65_537)
    return torch.randint(0, 2, (2 * _SIGN,), generator=generator, dtype=torch.int8)


@cache
def _random_bits(dtype: torch.dtype, bit: int, device: torch.device) -> Tensor:
    return (_pattern()[:_SIGN].to(dtype) << bit).to(device)


@cache
def _random_signs() -> Tensor:
    return _pattern().double() * 2 - 1


def _signs(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 2, (count,), generator=generator, dtype=torch.int64).double() * 2 - 1


@contextmanager
def jittered(tensors: Iterable[Tensor], batch: Any, bit: int) -> Iterator[None]:
    """Flip one bit of the mantissa of half of all entries, and flip it back at the end.

    Args:
        tensors: parameters; those that are not floating point stay as they are.
        batch: its floating-point tensors are changed for good, so give a copy.
        bit: 0 is the last bit of the mantissa.
    """
    parameters = [each for each in tensors if _has_mantissa(each)]
    inputs = [each for each in tree_leaves(batch) if isinstance(each, Tensor)]
    _flip((each for each in inputs if _has_mantissa(each)), bit)
    _flip(parameters, bit)
    try:
        yield
    finally:
        _flip(parameters, bit)


def _has_mantissa(tensor: Tensor) -> bool:
    judged = tensor.is_floating_point() and not why_not_judged(tensor)
    return judged and tensor.element_size() in _EXPONENT


#: The bits of the exponent, by size: only normal numbers are changed, so that zeros stay zero.
_EXPONENT = {4: 0x7F80_0000, 8: 0x7FF0_0000_0000_0000}
_EXPONENT_16 = {torch.bfloat16: 0x7F80, torch.float16: 0x7C00}
_EXPONENT[2] = 0


@torch.no_grad()
def _flip(tensors: Iterable[Tensor], bit: int) -> None:
    for tensor in tensors:
        whole = bits(tensor)
        exponent = _EXPONENT_16.get(tensor.dtype) or _EXPONENT[tensor.element_size()]
        if not _dense(whole):
            continue
        flat = whole.as_strided((whole.numel(),), (1,))
        pattern = _random_bits(whole.dtype, bit, whole.device)
        for first in range(0, len(flat), _SIGN):
            part = flat[first : first + _SIGN]
            normal = (part & exponent) != 0
            part ^= pattern[: len(part)] * normal


def _dense(tensor: Tensor) -> bool:
    """Whether its entries fill one piece of memory, each once."""
    strides = sorted(
        (stride, size)
        for stride, size in zip(tensor.stride(), tensor.shape, strict=True)
        if size > 1
    )
    expected = 1
    for stride, size in strides:
        if stride != expected:
            return False
        expected *= size
    return tensor.numel() > 0


def directed(tensor: Tensor, seed: int, scale: float) -> Tensor:
    """The values in float64 after a step of ``scale`` in each entry, with random signs.

    Raises:
        ValueError: its entries do not fill one piece of memory.
    """
    if not _dense(tensor):
        message = "its entries are not next to each other in memory"
        raise ValueError(message)
    moved = tensor.detach().to(torch.float64, copy=True)
    flat = moved.as_strided((moved.numel(),), (1,))
    signs = direction(seed)
    for first in range(0, len(flat), _SIGN):
        part = flat[first : first + _SIGN]
        part.add_(signs[: len(part)], alpha=scale)
    return moved


def along(gradient: Tensor, seed: int) -> float:
    """The sum of a gradient's entries with the signs that `directed` uses."""
    gradient = gradient.detach()
    if gradient.layout != torch.strided:
        gradient = gradient.to_dense()
    flat = gradient.as_strided((gradient.numel(),), (1,))
    signs = direction(seed)
    total = 0.0
    for first in range(0, len(flat), _SIGN):
        part = flat[first : first + _SIGN].double()
        total += float(part @ signs[: len(part)])
    return total


def direction(seed: int) -> Tensor:
    """Random signs, shape (65536,), float64: a window of one pattern, at another place per seed."""
    first = seed * 9_973 % _SIGN
    return _random_signs()[first : first + _SIGN]
