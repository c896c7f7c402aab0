"""Convolutional networks of notebook 000, and a small one with batch normalization.

Evidence and stored runs are found by the names of networks. The notebooks' protocols and the claims
named the same networks differently, so both pass a name here.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cache, partial

from torch import nn

from initcheck.networks import ACTIVATIONS, Network


@cache
def mnist_cnn(activation: str = "relu", name: str = "mnist cnn 16-32") -> Network:
    """Notebook 000 on MNIST: two 5 x 5 convolutions to 16 and 32 channels, then 25088-10."""
    return Network(f"{name} {activation}", partial(_mnist_cnn, activation))


def _mnist_cnn(activation: str) -> nn.Sequential:
    act = ACTIVATIONS[activation]
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 16, 5, padding=2),  # (B, 16, 28, 28)
            act1=act(),
            conv2=nn.Conv2d(16, 32, 5, padding=2),  # (B, 32, 28, 28)
            act2=act(),
            flatten=nn.Flatten(),  # (B, 25088)
            output=nn.Linear(25088, 10),
        )
    )


@cache
def cifar_cnn(activation: str = "relu", name: str = "cifar cnn, batch norm,") -> Network:
    """Notebook 000 on CIFAR-10: six convolutions, pooled and normalized in pairs, three layers.

    Channels 3-32-64, 64-128-128 and 128-256-256, kernels 3 x 3, then 4096-1024-512-10.
    """
    return Network(f"{name} {activation}", partial(_cifar_cnn, activation))


def _cifar_cnn(activation: str) -> nn.Sequential:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    channels = ((3, 32, 64), (64, 128, 128), (128, 256, 256))
    for block, (first, second, third) in enumerate(channels, start=1):
        layers |= _pair(block, first, second, third, activation)
    layers["flatten"] = nn.Flatten()  # (B, 4096)
    for number, (inputs, outputs) in enumerate(((4096, 1024), (1024, 512)), start=1):
        layers[f"hidden{number}"] = nn.Linear(inputs, outputs)
        layers[f"hidden_act{number}"] = ACTIVATIONS[activation]()
    layers["output"] = nn.Linear(512, 10)
    return nn.Sequential(layers)


def _pair(
    block: int, inputs: int, middle: int, outputs: int, activation: str
) -> OrderedDict[str, nn.Module]:
    """Two convolutions that keep the image's size, pooling that halves it, and batch norm."""
    act = ACTIVATIONS[activation]
    return OrderedDict(
        {
            f"conv{block}a": nn.Conv2d(inputs, middle, 3, padding=1),
            f"act{block}a": act(),
            f"conv{block}b": nn.Conv2d(middle, outputs, 3, padding=1),
            f"act{block}b": act(),
            f"pool{block}": nn.MaxPool2d(2),
            f"norm{block}": nn.BatchNorm2d(outputs),
        }
    )


@cache
def small_batch_norm_cnn(activation: str = "relu") -> Network:
    """A small block of ``cifar_cnn`` for halved MNIST images: 4 and 8 channels, then 128-32-10."""
    return Network(f"small cnn, batch norm, {activation}", partial(_small, activation))


def _small(activation: str) -> nn.Sequential:
    act = ACTIVATIONS[activation]
    return nn.Sequential(
        OrderedDict(
            halve=nn.AvgPool2d(2),  # (B, 1, 14, 14)
            conv1=nn.Conv2d(1, 4, 3, padding=1),  # (B, 4, 14, 14)
            act1=act(),
            conv2=nn.Conv2d(4, 8, 3, padding=1),  # (B, 8, 14, 14)
            act2=act(),
            pool=nn.MaxPool2d(3),  # (B, 8, 4, 4)
            norm=nn.BatchNorm2d(8),
            flatten=nn.Flatten(),  # (B, 128)
            hidden=nn.Linear(128, 32),
            hidden_act=act(),
            output=nn.Linear(32, 10),
        )
    )
