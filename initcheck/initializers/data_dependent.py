"""Starts that look at images: each linear layer in turn gets outputs of unit variance."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from initcheck import datasets
from initcheck.initializers.independent import normal_, zeros_
from initcheck.initializers.rules import Initializer, every
from initcheck.initializers.structured import orthogonal_

IMAGES = 256  # the first training images


@dataclass(frozen=True)
class UnitVariance(Initializer):
    """Fills by its rules, and then scales the linear layers, the first one first.

    Mishkin and Matas 2015, arXiv 1511.06422, Algorithm 1 (LSUV) divides a layer by the standard
    deviation of all its outputs. Salimans and Kingma 2016, arXiv 1602.07868, eq. 6 and 7, scale and
    shift each unit.

    Attributes:
        data: the name of the data set whose first 256 training images are used.
        by_unit: whether each unit is scaled and shifted alone.
    """

    data: str = "mnist5k"
    by_unit: bool = False

    @torch.no_grad()
    def __call__(self, module: nn.Module, generator: torch.Generator) -> None:
        """Fill the parameters in place."""
        super().__call__(module, generator)
        seen: dict[nn.Module, Tensor] = {}
        for layer in [m for m in module.modules() if isinstance(m, nn.Linear)]:
            hook = layer.register_forward_hook(lambda m, given, out: seen.update({m: out}))
            module(_images(self.data))
            hook.remove()
            outputs = seen[layer]  # (N, O)
            size = spread(outputs, by_unit=self.by_unit)
            layer.weight.div_(size.unsqueeze(-1))
            if self.by_unit:
                layer.bias.sub_(shift(outputs)).div_(size)


def spread(outputs: Tensor, *, by_unit: bool) -> Tensor:
    """The standard deviation of each unit's outputs ``(N, O)``, or of all: ``(O,)`` or ``()``."""
    return outputs.std(0) if by_unit else outputs.std()


def shift(outputs: Tensor) -> Tensor:
    """The mean of each unit's outputs, ``(O,)``."""
    return outputs.mean(0)


@functools.lru_cache(maxsize=4)  # every seed needs them
def _images(data: str) -> Tensor:
    return datasets.load(data).train_inputs[:IMAGES]


def lsuv(data: str = "mnist5k") -> UnitVariance:
    """Orthogonal weights and zero biases; all outputs of a layer together get unit variance."""
    rules = every(orthogonal_(), zeros_)
    return UnitVariance(f"LSUV on {IMAGES} images", rules.weights, rules.biases, data=data)


def data_dependent(data: str = "mnist5k") -> UnitVariance:
    """N(0, .05²) weights; each unit gets mean 0 and variance 1 by a scale and a bias."""
    rules = every(normal_(0.05), zeros_)
    name = f"each unit standardized on {IMAGES} images"
    return UnitVariance(name, rules.weights, rules.biases, data=data, by_unit=True)
