"""Second moments of activations under a normal law, by quadrature, and the gains that keep them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it
from torch.nn import init

from initcheck.initializers.factory import TensorInitializer, factory
from initcheck.initializers.independent import fan_in

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "elu": F.elu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "linear": torch.clone,
}
# Decimals of what becomes part of an arm or a probe: the last bits of a sum depend on the number of
# threads and on the processor, and evidence is found by the text of both.
SHOWN = 8
EDGE = 12.0  # beyond it a normal density is below 1e-31
POINTS = 24_000  # even, so that none is at 0, where a ReLU has no derivative; steps of 1e-3


@cache
def _grid() -> tuple[Tensor, Tensor]:
    """Points and their probabilities under N(0, 1), by the trapezoidal rule, float64."""
    z = torch.linspace(-EDGE, EDGE, POINTS, dtype=torch.float64)
    density = torch.exp(-z.square() / 2)
    return z, density / density.sum()


def expectation(function: Callable[[Tensor], Tensor], variance: float = 1.0) -> float:
    """E f(z) for z from N(0, variance), in float64."""
    z, probability = _grid()
    return float(function(math.sqrt(variance) * z) @ probability)


def second_moment(activation: str, variance: float = 1.0) -> float:
    """E act(z)² for z from N(0, variance) and a name in ``FUNCTIONS``."""
    return expectation(lambda z: FUNCTIONS[activation](z).square(), variance)


def keeping_gain(activation: str) -> float:
    """The gain 1 / sqrt(E act(z)²), z from N(0, 1), which lets a layer keep a second moment of 1.

    Source: He et al., arXiv 1502.01852 eq. 10, with any activation in the place of ReLU. Rounded to
    8 decimals, so that it is the same on every machine.
    """
    return round(1 / math.sqrt(second_moment(activation)), SHOWN)


@factory
def keeping_(activation: str) -> TensorInitializer:
    """N(0, gain² / fan_in) with the gain of ``keeping_gain``, shape (out, in, *kernel)."""

    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        std = keeping_gain(activation) / math.sqrt(fan_in(tensor))
        return init.normal_(tensor, std=std, generator=generator)

    return fill


@factory
def layerwise_(initializer: TensorInitializer) -> TensorInitializer:
    """``initializer`` for each layer of a tensor that holds several, shape (layers, out, in)."""

    @torch.no_grad()
    def fill(tensor: Tensor, generator: torch.Generator) -> Any:
        for layer in tensor:
            initializer(layer, generator)
        return tensor

    return fill
