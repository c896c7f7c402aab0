"""Rounding errors for the twins of a user's loop."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor, nn

from initcheck.envelope.twins import POOL, multiply
from initcheck.trajectory.traces import trainable, watched


class Disturbance:
    """Multiplies what training has written by 1 + eps z, z from N(0, 1), at every step.

    Parameters that train are disturbed before the first step as well. A frozen parameter and a
    constant buffer keep their bits: nothing is computed there, so nothing is rounded.
    """

    def __init__(self, seed: int, twin: int) -> None:
        self._generator = torch.Generator().manual_seed(zlib.crc32(f"{seed} {twin}".encode()))
        self._pools: dict[tuple[torch.dtype, torch.device], Tensor] = {}
        self._seen: dict[str, tuple[int, int]] = {}

    def __call__(self, model: nn.Module) -> None:
        """Disturb the module in place."""
        training = trainable(model)
        with torch.no_grad():
            for name, tensor in watched(model).items():
                if not tensor.is_floating_point():
                    continue
                written = name in self._seen and self._seen[name] != _state(tensor)
                if name in training or written:
                    multiply(tensor, self._pool(tensor), self._generator)
                self._seen[name] = _state(tensor)

    def _pool(self, tensor: Tensor) -> Tensor:
        key = (tensor.dtype, tensor.device)
        if key not in self._pools:
            normal = torch.randn(POOL, generator=self._generator)
            factors = normal.to(tensor.dtype) * torch.finfo(tensor.dtype).eps + 1
            self._pools[key] = factors.to(tensor.device)
        return self._pools[key]


def _state(tensor: Tensor) -> tuple[int, int]:
    """Changes when the tensor is written, or replaced by another one."""
    return tensor.data_ptr(), tensor._version  # noqa: SLF001 -- has no public name
