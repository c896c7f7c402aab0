"""Parts of a draw: its signs at one magnitude, its magnitudes, or a constant with little noise."""

from __future__ import annotations

import torch
from torch import Tensor

from initcheck.initializers.factory import TensorInitializer, factory


@factory
def sign_of_(law: TensorInitializer) -> TensorInitializer:
    """The signs of a draw of ``law``, all at the draw's root mean square."""

    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        law(tensor, generator)
        return tensor.copy_(signs(tensor) * tensor.square().mean().sqrt())

    return fill


def signs(tensor: Tensor) -> Tensor:
    """The sign of each entry."""
    return tensor.sign()


@factory
def magnitude_of_(law: TensorInitializer) -> TensorInitializer:
    """The magnitudes of a draw of ``law``, all positive."""

    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        return law(tensor, generator).abs_()

    return fill


@factory
def disturbed_(value: float, std: float) -> TensorInitializer:
    """``value`` everywhere, plus N(0, std^2)."""

    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        return tensor.copy_(noise_like(tensor, std, generator).add_(value))

    return fill


def noise_like(tensor: Tensor, std: float, generator: torch.Generator) -> Tensor:
    """N(0, std^2) in the shape of a tensor, float64: a small noise must survive a large value."""
    shape, dtype = tensor.shape, torch.float64
    return torch.empty(shape, dtype=dtype).normal_(std=std, generator=generator)
