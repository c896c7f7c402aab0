"""Marks of an arm at its start: a few numbers by which parameters, images and layers are known."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

START_TOLERANCE = 1e-5  # relative; orthogonal_ moved by 1.8e-7 between torch 2.4.1 and 2.9.1
BEYOND = 1e30  # stands for an infinite distance, which JSON cannot hold


def start_marks(start: dict[str, Tensor]) -> dict[str, list[list[float]]]:
    """Two numbers a parameter and seed that almost surely change with any of its entries.

    The norm, and the projection on a fixed vector of random signs.
    """
    marks = {}
    for name, tensor in start.items():
        flat = tensor.reshape(len(tensor), -1).double()  # (R, entries)
        both = [flat.norm(dim=1), flat @ _signs(flat.shape[1])]
        marks[name] = as_json(torch.stack(both, 1))
    return marks


@functools.lru_cache(maxsize=16)  # arms share their networks' sizes
def _signs(entries: int) -> Tensor:
    generator = torch.Generator().manual_seed(entries)
    return torch.randint(2, (entries,), generator=generator).double() * 2 - 1


def as_json(numbers: Tensor) -> Any:
    """Nested lists that JSON can hold."""
    return numbers.double().nan_to_num(nan=BEYOND).clamp(-BEYOND, BEYOND).tolist()


def order_marks(first_batch: Tensor) -> list[int]:
    """One number a seed that almost surely changes with the images of the first batch.

    From ``(R, B)``: each image's place in the data times its place in the batch, summed.
    """
    places = torch.arange(1, first_batch.shape[1] + 1)
    marks: list[int] = (first_batch * places).sum(1).tolist()
    return marks


def alike(now: dict[str, Any], recorded: dict[str, Any], count: int) -> bool:
    """Whether all seeds have the same marks now, wherever they differed in the record."""

    def one(marks: list[list[float]]) -> bool:
        return first_difference({"": marks[:1] * count}, {"": marks[:count]}, count) is None

    varied = [name for name, marks in recorded.items() if name in now and not one(marks)]
    return bool(varied) and all(one(now[name]) for name in varied)


def first_difference(now: dict[str, Any], recorded: dict[str, Any], count: int) -> str | None:
    """The first name whose marks differ; marks are norms first, so those give the scale."""
    for name in dict.fromkeys([*now, *recorded]):
        before = torch.tensor(recorded.get(name, []), dtype=torch.float64)[:count]
        after = torch.tensor(now.get(name, []), dtype=torch.float64)[:count]
        if before.shape != after.shape:
            return name
        scale = before[..., :1].abs().clamp(min=torch.finfo(torch.float32).tiny)
        if not ((after - before).abs() <= START_TOLERANCE * scale).all():
            return name
    return None
