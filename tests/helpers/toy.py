"""A small data set, small networks and small arms, for the tests of training."""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import nn

from initcheck.arms import SGD, Arm, Recipe
from initcheck.datasets import DataSet
from initcheck.initializers import he, torch_default
from initcheck.networks import Network, mlp

CLASSES = 4
SHAPE = (1, 4, 5)  # an image: 20 numbers
TRAIN, TEST = 100, 40
SMALL = mlp(20, 16, 12, CLASSES)
RECIPE = Recipe(SGD(lr=0.1), batch=8, steps=12)


@cache
def data(train: int = TRAIN) -> DataSet:
    """Noisy copies of four images, which an MLP of this size learns in a hundred steps."""
    generator = torch.Generator().manual_seed(5)
    centres = torch.rand(CLASSES, *SHAPE, generator=generator)

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.randint(CLASSES, (count,), generator=generator)
        noise = torch.rand(count, *SHAPE, generator=generator)
        return (centres[labels] + 0.5 * noise) / 1.5, labels

    return DataSet("toy", *draw(train), *draw(TEST), CLASSES, "0" * 16)


def arm(network: Network = SMALL, recipe: Recipe = RECIPE, initializer=he) -> Arm:
    """An arm on the toy data."""
    return Arm(network, initializer, recipe, data="toy")


def sequential(*make) -> Network:
    """A network of layers, each built by a call; torch's default start."""
    return Network("sequential", partial(_sequential, make))


def _sequential(make) -> nn.Sequential:
    return nn.Sequential(*(layer() for layer in make))


def default_arm(network: Network, recipe: Recipe = RECIPE) -> Arm:
    """An arm that starts as torch's constructors leave it."""
    return arm(network, recipe, torch_default)


def of_user(build, recipe=RECIPE):
    """An arm whose network is a custom module."""
    return default_arm(Network("of a user", build), recipe)


class Residual(nn.Module):
    """A custom module: two layers and a shortcut around them."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(20, 20)
        self.gain = nn.Parameter(torch.tensor(0.5))  # a scalar
        self.outer = nn.Linear(20, CLASSES)

    def forward(self, x):
        x = x.flatten(1)
        return self.outer(x + self.gain * torch.relu(self.inner(x)))


class Deciding(Residual):
    """Takes a branch that depends on the data, which vmap cannot follow."""

    def forward(self, x):
        return super().forward(x if x.mean() > 0.5 else 1 - x)


class Dropping(nn.Module):
    """Drops a share of its hidden units in training."""

    def __init__(self, share: float = 0.5) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(20, 16), nn.ReLU(), nn.Dropout(share), nn.Linear(16, CLASSES)
        )

    def forward(self, x):
        return self.layers(x)


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest difference, in units of b's largest entry and its dtype's epsilon."""
    scale = b.abs().max().clamp(min=torch.finfo(b.dtype).tiny) * torch.finfo(b.dtype).eps
    return float((a - b).abs().max() / scale)
