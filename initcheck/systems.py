"""The notebooks' systems 000 and 001: networks, starts and recipes that several claims share."""

from __future__ import annotations

from collections import OrderedDict
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import init

from initcheck.convolutional import cifar_cnn, mnist_cnn, small_batch_norm_cnn
from initcheck.initializers import Initializer, every, normal_, ones_, uniform_, zeros_
from initcheck.networks import Network, mlp
from initcheck.recipes import SGD, Adam, AdamW, RMSprop

# Optimizers whose step from a zero gradient is exactly zero.
STILL = {
    "sgd": SGD(lr=0.1),
    "momentum": SGD(lr=0.1, momentum=0.9),
    "nesterov": SGD(lr=0.1, momentum=0.9, nesterov=True),
    "adam": Adam(lr=1e-2),
    "rmsprop": RMSprop(lr=1e-3),
}
# ... and one whose weight decay keeps a zero where it is, but moves everything else.
DECAYING = {"adamw": AdamW(lr=1e-2, weight_decay=0.01)}

SIDE = 28  # pixels of an image


@cache  # equal calls give the same network, so that equal arms are trained once
def pooled(
    *widths: int, by: int, activation: str | tuple[str, ...] = "relu", bias: bool = True
) -> Network:
    """A multilayer perceptron on images of which each ``by`` x ``by`` pixels are averaged into one.

    So a claim about the layers behind the pixels is decided at a fraction of the time. ``widths``
    begin with the first hidden layer's; the rest is as ``mlp`` has it.
    """
    side = SIDE // by
    network = mlp(side**2, *widths, activation=activation, bias=bias)

    def build() -> nn.Module:
        layers = OrderedDict(network.build().named_children())
        return nn.Sequential(OrderedDict(pool=nn.AvgPool2d(by), **layers))

    return Network(f"{side} x {side} pooled, {network.name}", build)


# --- notebook 000: zero weights, random biases ----------------------------------------------------

MNIST_FNN = mlp(784, 500, 10, activation="elu")  # as published; the notebook's own commit has ReLU
MNIST_FNN_RELU = mlp(784, 500, 10)
MNIST_FNN_POOLED = pooled(64, 10, by=2, activation="elu")  # for claims that need training
SOFTMAX_POOLED = pooled(10, by=2)
MNIST_CNN = mnist_cnn("elu")
BATCH_NORM_CNN = small_batch_norm_cnn("relu")
CIFAR_FNN = mlp(3072, 512, 256, 128, 10, activation="elu")
CIFAR_CNN = cifar_cnn("relu")


def normal_biases(factor: float = 1.0) -> Initializer:
    """Zero weights, biases from N(0, 1) times the factor: the notebook's mode "normal"."""
    return every(zeros_, normal_(factor), f"zero weights, normal biases x {factor:g}")


@torch.no_grad()
def power_of_two_(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """N(0, 1) with each magnitude rounded to a power of two.

    Sums, means and products of equal powers of two are exact in binary, fused or not, as long as
    there are a power of two of them: what rounding alone does is then absent.
    """
    init.normal_(tensor, generator=generator)
    return tensor.copy_(tensor.sign() * tensor.abs().log2().round().exp2())


EXACT_BIASES = every(zeros_, power_of_two_, "zero weights, biases powers of two")


def uniform_biases(factor: float = 1.0) -> Initializer:
    """Zero weights, biases from U(0, 1) times the factor: the notebook's mode "uniform"."""
    return every(zeros_, uniform_(0.0, factor), f"zero weights, uniform biases x {factor:g}")


# --- notebook 001: one layer, or all, to a constant -----------------------------------------------

NOTEBOOK_001 = mlp(784, 64, 32, 32, 10)  # ReLU
NOTEBOOK_001_POOLED = pooled(64, 32, 32, 10, by=2)  # for claims that need training
ONES_ZERO_BIASES = every(ones_, zeros_, "weights 1, biases 0")  # exercise 1
ONES_DEFAULT_BIASES = every(ones_, None, "weights 1, default biases")  # exercise 2 as coded
ZEROS_DEFAULT_BIASES = every(zeros_, None, "weights 0, default biases")  # exercise 2 as written
DEFAULT_ZERO_BIASES = Initializer("default weights, biases 0", None, zeros_)  # exercise 3


def parameters_of(*layers: str) -> tuple[str, ...]:
    """The names of weight and bias of each layer, as recipes keep them."""
    return tuple(f"{layer}.{what}" for layer in layers for what in ("weight", "bias"))
