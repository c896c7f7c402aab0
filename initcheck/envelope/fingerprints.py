"""Fingerprints of an arm: a few numbers that change with its start, first batch or layers."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

START_TOLERANCE = 1e-5  # relative; orthogonal_ moved by 1.8e-7 between torch 2.4.1 and 2.9.1
BEYOND = 1e30  # in place of infinity, which JSON cannot hold


def start_marks(start: dict[str, Tensor]) -> dict[str, list[list[float]]]:
    """Two numbers per parameter and seed that almost surely change if any entry does.

    They are the norm and the projection on a fixed vector of random signs: ``{name: (R, 2)}``.
    """
    marks = {}
    for name, tensor in start.items():
        flat = tensor.reshape(len(tensor), -1).double()  # (R, entries)
        both = [flat.norm(dim=1), flat @ _signs(flat.shape[1])]
        marks[name] = as_json(torch.stack(both, 1))
    return marks


@functools.lru_cache(maxsize=16)  # few sizes: arms share networks
def _signs(entries: int) -> Tensor:
    generator = torch.Generator().manual_seed(entries)
    return torch.randint(2, (entries,), generator=generator).double() * 2 - 1


def as_json(numbers: Tensor) -> Any:
    """The numbers as nested lists; NaN and infinity become ``BEYOND``, since JSON has neither."""
    return numbers.double().nan_to_num(nan=BEYOND).clamp(-BEYOND, BEYOND).tolist()


def order_marks(first_batch: Tensor) -> list[int]:
    """One number per seed that almost surely changes if an image of the first batch does.

    From ``(R, B)``: the sum over images of the index in the data times the place in the batch.
    """
    places = torch.arange(1, first_batch.shape[1] + 1)
    marks: list[int] = (first_batch * places).sum(1).tolist()
    return marks


def became_identical(now: dict[str, Any], recorded: dict[str, Any], count: int) -> bool:
    """Whether all seeds have equal marks now in every name for which the recorded ones differ."""

    def identical(marks: list[list[float]]) -> bool:
        return first_difference({"": marks[:1] * count}, {"": marks[:count]}, count) is None

    varied = [name for name, marks in recorded.items() if name in now and not identical(marks)]
    return bool(varied) and all(identical(now[name]) for name in varied)


def start_tolerance(dtype: torch.dtype) -> float:
    """The relative tolerance of the marks of a start in this dtype.

    A drawn number that lies between two of the dtype is rounded up or down by the last bit of its
    float32. Where a share p of the numbers is, the start moves by the square root of p times eps:
    in bfloat16 by 6e-5, from one instruction set to another.
    """
    return max(START_TOLERANCE, torch.finfo(dtype).eps / 8)


def first_difference(
    now: dict[str, Any], recorded: dict[str, Any], count: int, tolerance: float = START_TOLERANCE
) -> str | None:
    """The first name whose marks differ by more than the tolerance, or None.

    Differences are relative to the first mark, which is a norm.
    """
    for name in dict.fromkeys([*now, *recorded]):
        before = torch.tensor(recorded.get(name, []), dtype=torch.float64)[:count]
        after = torch.tensor(now.get(name, []), dtype=torch.float64)[:count]
        if before.shape != after.shape:
            return name
        scale = before[..., :1].abs().clamp(min=torch.finfo(torch.float32).tiny)
        if not ((after - before).abs() <= tolerance * scale).all():
            return name
    return None
