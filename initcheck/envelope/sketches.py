"""Sketches: a few numbers that tell how far a tensor has gone from its start, and which way.

A sketch of a way is its product with a few fixed vectors of random signs. The mean square of the
difference between two sketches is, over the signs, the squared distance between the two ends, so
two runs can be compared by sketches alone: the idea of Johnson and Lindenstrauss (1984), with the
signs of Achlioptas (2003, J. Comput. Syst. Sci. 66, 671). A vector as long as the tensor is never
made: it is the product of a sign for each row and a sign for each column of the tensor, written
as a table with rows of 4096 numbers. Such products keep the mean of the squared distance.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor

COUNT = 4  # products per tensor
_ROW = 4096  # numbers that share their row's sign
_BLOCK = 2**17  # numbers that are converted to float64 at once: they fit into a core's cache
_LARGE_BLOCK = 2**24  # on other devices, where each call costs more than its arithmetic


def sketch(name: str, now: Tensor, start: Tensor | None = None, *, count: int = COUNT) -> Tensor:
    """The way of R tensors from their starts, in ``count`` products and its length.

    Args:
        name: the tensor's name, which determines the signs.
        now: ``(R, ...)``, of any dtype: the tensor of each of R replicas.
        start: ``(R, ...)``, on the same device; None if the way starts at zero.
        count: the number of products.

    Returns:
        ``(R, count + 1)`` float64 on the CPU: the products, then the Euclidean norm of the way.
    """
    flat = _flat(now)
    before = None if start is None else _flat(start)
    if flat.shape[1] <= _ROW:
        return _short(name, flat, before, count)
    rows, columns = _signs(name, flat.shape[1], count)
    sums = torch.zeros(len(flat), count, columns.shape[1], dtype=torch.float64, device="cpu")
    squares = torch.zeros(len(flat), dtype=torch.float64, device="cpu")
    with _one_thread():
        for first, part in _parts(flat, before):
            if sums.device != part.device:
                sums, squares, rows = (each.to(part.device) for each in (sums, squares, rows))
            signs = rows[:, first : first + part.shape[1]]
            sums[..., : part.shape[2]] += torch.matmul(signs, part)
            squares += torch.linalg.vector_norm(part, dim=(1, 2)).square()
    products = (sums.cpu() * columns).sum(-1)
    return torch.cat([products, squares.cpu().sqrt()[:, None]], 1)


def _short(name: str, now: Tensor, start: Tensor | None, count: int) -> Tensor:
    """The sketch of tensors of a single row, in fewer calls."""
    way = _wide(now if start is None else _difference(now, start)).cpu()
    return torch.cat([way @ _row_signs(name, way.shape[1], count), way.norm(dim=1)[:, None]], 1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: a block is too small to be shared, so more only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _flat(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor)
    return in_order(tensor).reshape(len(tensor), -1)


def in_order(tensor: Tensor) -> Tensor:
    """The R tensors ``(R, ...)``, contiguous: themselves, or else a copy.

    Each is copied by itself, since on a CPU torch transposes one large matrix about four times as
    fast as a stack of them.
    """
    if tensor.is_contiguous():
        return tensor
    copied = torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)
    for there, here in zip(copied, tensor, strict=True):
        there.copy_(here)
    return copied


def _parts(now: Tensor, start: Tensor | None) -> Iterator[tuple[int, Tensor]]:
    """Blocks of the way in float64, ``(R, rows, columns)``, each after the number of its first row.

    The last block may hold a single row that is shorter than the others.
    """
    replicas, entries = now.shape
    full = entries // _ROW
    block = _BLOCK if now.device.type == "cpu" else _LARGE_BLOCK
    step = max(1, block // (_ROW * replicas))
    edges = [(row * _ROW, min(row + step, full) * _ROW) for row in range(0, full, step)]
    if entries % _ROW:
        edges.append((full * _ROW, entries))
    for low, high in edges:
        part = now[:, low:high]
        if start is not None:
            part = _difference(part, start[:, low:high])
        part = _wide(part)
        yield low // _ROW, part.reshape(replicas, -1, min(_ROW, high - low))


def _difference(now: Tensor, start: Tensor) -> Tensor:
    """The way of each number, in float32 at least.

    In float32 it is off by half an epsilon of the way at most, less than the smallest envelope.
    """
    if now.dtype in {torch.float32, torch.float64}:
        return now - start
    return _wide(now) - _wide(start)


def _wide(tensor: Tensor) -> Tensor:
    """The tensor in float64, on its device if that has float64, else on the CPU."""
    try:
        return tensor.double()
    except TypeError:
        return tensor.cpu().double()


def _row_signs(name: str, entries: int, count: int) -> Tensor:
    rows, columns = _signs(name, entries, count)
    return columns.mul_(rows).T


def _signs(name: str, entries: int, count: int) -> tuple[Tensor, Tensor]:
    """A sign for each row ``(count, rows)`` and each column ``(count, columns)``."""
    signs = _drawn(name, entries, count).double() * 2 - 1
    rows = -(-entries // _ROW)
    return signs[:, :rows], signs[:, rows:]


@lru_cache(maxsize=2048)  # 35 MB at most for tensors up to 4 million numbers; models have as many
def _drawn(name: str, entries: int, count: int) -> Tensor:
    """A bit for each row and each column, ``(count, rows + columns)`` in bytes."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    rows, columns = -(-entries // _ROW), min(entries, _ROW)
    return torch.randint(  # on the CPU, whatever device a loop has made the default
        2, (count, rows + columns), generator=generator, dtype=torch.int8, device="cpu"
    )
