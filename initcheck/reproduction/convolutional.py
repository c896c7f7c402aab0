"""The convolutional networks of notebook 000 and of the report that came of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise

from torch import nn

from initcheck.networks import ACTIVATIONS, Network


@cache
def mnist_cnn(activation: str) -> Network:
    """Two 5 x 5 convolutions of 16 and 32 channels without pooling, then one linear layer."""
    return Network(f"mnist cnn {activation}", partial(_mnist_cnn, ACTIVATIONS[activation]))


@cache
def cifar_cnn(activation: str) -> Network:
    """Three blocks of two 3 x 3 convolutions, pooling and batch norm, then three linear layers."""
    return Network(f"cifar cnn {activation}", partial(_cifar_cnn, ACTIVATIONS[activation]))


def _mnist_cnn(activation: Callable[[], nn.Module]) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), activation(),
        nn.Conv2d(16, 32, 5, padding=2), activation(),
        nn.Flatten(), nn.Linear(32 * 28 * 28, 10),
    )  # fmt: skip


def _cifar_cnn(activation: Callable[[], nn.Module]) -> nn.Module:
    layers: list[nn.Module] = []
    for channels in ((3, 32, 64), (64, 128, 128), (128, 256, 256)):
        for inputs, outputs in pairwise(channels):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), activation()]
        layers += [nn.MaxPool2d(2), nn.BatchNorm2d(channels[-1])]
    layers += [nn.Flatten()]
    for inputs, outputs in ((4096, 1024), (1024, 512)):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers, nn.Linear(512, 10))
