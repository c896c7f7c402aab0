"""Rounding errors for the twins of a user's loop."""

from __future__ import annotations

import zlib
from functools import lru_cache

import torch
from torch import Tensor, nn

from initcheck.envelope.twins import POOL, multiply
from initcheck.trajectory.low_precision import Steps
from initcheck.trajectory.traces import tensors_of


class Disturbance:
    """Multiplies what training has written by 1 + eps z, z from N(0, 1), at every step.

    Parameters that train are disturbed before the first step as well. A frozen parameter and a
    constant buffer keep their bits: nothing is computed there, so nothing is rounded. Where
    autocast rounds outputs to fewer bits, a few of them are moved by one step.
    """

    def __init__(self, seed: int, twin: int) -> None:
        self._generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {twin}".encode()))
        self._seen: dict[str, tuple[int, int]] = {}
        self._steps: Steps | None = None

    def __call__(self, model: nn.Module) -> None:
        """Disturb the module in place."""
        if self._steps is None:
            self._steps = Steps(self._generator)
            self._steps.follow(model)
        with torch.no_grad():
            for name, tensor in tensors_of(model):
                numbers = _numbers(tensor)
                if numbers is None:
                    continue
                written = name in self._seen and self._seen[name] != _state(tensor)
                if written or tensor.requires_grad:
                    multiply(numbers, _pool(numbers.dtype, numbers.device), self._generator)
                self._seen[name] = _state(tensor)


def _numbers(tensor: Tensor) -> Tensor | None:
    """A view of the numbers that rounding moves; None for integers, and where nothing multiplies.

    Numbers of one byte are left alone: torch cannot multiply them.
    """
    if tensor.layout != torch.strided or tensor.dtype.itemsize == 1:
        return None
    if tensor.is_complex():
        return torch.view_as_real(tensor.detach())
    return tensor.detach() if tensor.is_floating_point() else None


@lru_cache(maxsize=4)
def _pool(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Factors 1 + eps z that all twins share; each use starts at a random offset."""
    generator = torch.Generator().manual_seed(POOL)
    # a loop may have set another default dtype or device
    normal = torch.randn(POOL, generator=generator, dtype=torch.float32, device="cpu")
    return (normal.to(dtype) * torch.finfo(dtype).eps + 1).to(device)


def _state(tensor: Tensor) -> tuple[int, int]:
    """Changes when the tensor is written, or replaced by another one."""
    version = 0 if tensor.is_inference() else tensor._version  # noqa: SLF001 -- has no public name
    return tensor.data_ptr(), version
