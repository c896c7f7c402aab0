"""Networks, starts, recipes and arms of the notebooks that several claims share."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import init

from initcheck.arms import SGD, Adam, AdamW, Arm, Recipe, RMSprop
from initcheck.initializers import (
    Initializer,
    constant_,
    every,
    glorot_uniform_,
    hadamard_,
    he,
    normal_,
    one_n_each_,
    ones_,
    partial_identity_,
    randn,
    spray_,
    uniform_,
    zeros_,
)
from initcheck.initializers.pretrained import Schedule, pretrained
from initcheck.networks import Network, mlp, pooled
from initcheck.notebooks.networks import cifar_cnn, mnist_cnn, small_batch_norm_cnn

# Optimizers whose step from a zero gradient is exactly zero.
STILL = {
    "sgd": SGD(lr=0.1),
    "momentum": SGD(lr=0.1, momentum=0.9),
    "nesterov": SGD(lr=0.1, momentum=0.9, nesterov=True),
    "adam": Adam(lr=1e-2),
    "rmsprop": RMSprop(lr=1e-3),
}
# Weight decay leaves zeros at zero and moves everything else.
DECAYING = {"adamw": AdamW(lr=1e-2, weight_decay=0.01)}


# --- notebook 000: zero weights, random biases ----------------------------------------------------

MNIST_FNN = mlp(784, 500, 10, activation="elu")  # as published; the notebook's own commit has ReLU
MNIST_FNN_RELU = mlp(784, 500, 10)
MNIST_FNN_POOLED = pooled(64, 10, by=2, activation="elu")  # for claims that train
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

    A power of two of equal such numbers has an exact sum, mean and product in binary, fused or not,
    so that effects of rounding are absent.
    """
    init.normal_(tensor, generator=generator)
    return tensor.copy_(tensor.sign() * tensor.abs().log2().round().exp2())


EXACT_BIASES = every(zeros_, power_of_two_, "zero weights, biases powers of two")


def uniform_biases(factor: float = 1.0) -> Initializer:
    """Zero weights, biases from U(0, 1) times the factor: the notebook's mode "uniform"."""
    return every(zeros_, uniform_(0.0, factor), f"zero weights, uniform biases x {factor:g}")


# --- notebook 001: one layer, or all layers, constant ---------------------------------------------

NOTEBOOK_001 = mlp(784, 64, 32, 32, 10)  # ReLU
NOTEBOOK_001_POOLED = pooled(64, 32, 32, 10, by=2)  # for claims that train
ONES_ZERO_BIASES = every(ones_, zeros_, "weights 1, biases 0")  # exercise 1
ONES_DEFAULT_BIASES = every(ones_, None, "weights 1, default biases")  # exercise 2 as coded
ZEROS_DEFAULT_BIASES = every(zeros_, None, "weights 0, default biases")  # exercise 2 as written
DEFAULT_ZERO_BIASES = Initializer("default weights, biases 0", None, zeros_)  # exercise 3


def parameters_of(*layers: str) -> tuple[str, ...]:
    """The names of weight and bias of each layer, for ``Recipe.keep``."""
    return tuple(f"{layer}.{what}" for layer in layers for what in ("weight", "bias"))


START = Recipe(SGD(lr=0.1), batch=32, steps=0)  # trains nothing; for claims about starts

# --- notebook 002 ---------------------------------------------------------------------------------

PIXELS = 784
SQUARE = "hidden3.weight"  # the square layer after the widening one
WIDE = mlp(PIXELS, PIXELS, 1024, 1024, 10)  # the notebook at hidden width 1024
WIDE_BIAS_FREE = mlp(PIXELS, PIXELS, 1024, 1024, 10, bias=False)
EQUAL_BIASES = constant_(0.01)  # the notebook's

identity_biased = every(partial_identity_, EQUAL_BIASES, "partial identity, biases .01")
hadamard_biased = every(hadamard_, EQUAL_BIASES, "hadamard, biases .01")
one_n_each_biased = every(one_n_each_, EQUAL_BIASES, "OnE, biases .01")
spray_biased = every(spray_, EQUAL_BIASES, "Spray, biases .01")

WIDENING = pooled(196, 256, 256, 10, by=2)  # WIDE, every width divided by four

POOLED_PIXELS = 49  # 7 x 7


def equal_then(*widths: int, bias: bool = True) -> Network:
    """Notebook 002 on 7 x 7 images: 49 inputs, a layer of 49 units, then ``widths``; ReLU."""
    return pooled(POOLED_PIXELS, *widths, by=4, bias=bias)


POOLED = equal_then(128, 128, 10)
POOLED_BIAS_FREE = equal_then(128, 128, 10, bias=False)

NARROWING = equal_then(32, 32, 10)  # hidden width 256 of 784 inputs, on 49: no layer widens
POOLED_RECIPE = Recipe(
    SGD(lr=0.1), batch=32, steps=100
)  # the notebook's lr; its batch is 64, for one epoch
IDENTITY_NARROWING = Arm(NARROWING, identity_biased, POOLED_RECIPE)
ONE_NARROWING = Arm(NARROWING, one_n_each_biased, POOLED_RECIPE)
SPRAY_NARROWING = Arm(NARROWING, spray_biased, POOLED_RECIPE)

# --- notebook 003 ---------------------------------------------------------------------------------

ACTIVATIONS = ("relu", "celu", "silu")
MIXED_WIDE = mlp(PIXELS, 512, 1024, 128, 10, activation=ACTIVATIONS)
MIXED_HALF = mlp(PIXELS, 256, 512, 64, 10, activation=ACTIVATIONS)
MIXED = pooled(128, 256, 32, 10, by=2, activation=ACTIVATIONS)  # every width divided by four
MOMENTUM = SGD(lr=1e-3, momentum=0.9)  # the notebook's optimizer
MIXED_RECIPE = Recipe(MOMENTUM, batch=32, steps=64)  # the notebook's batch is 100
HE, RANDN = Arm(MIXED_HALF, he, MIXED_RECIPE), Arm(MIXED_HALF, randn, MIXED_RECIPE)

# --- notebook 004 ---------------------------------------------------------------------------------

SHALLOW = mlp(PIXELS, 128, 128, 10)  # every hidden width divided by two
DEEP = mlp(PIXELS, 256, 256, 256, 256, 10)
glorot_uniform = every(glorot_uniform_, name="glorot uniform, torch's biases")  # the notebook's
DEPTH_RECIPE = Recipe(
    Adam(lr=1e-3), batch=32, steps=40
)  # the notebook's lr; its batch is 100, for 15 epochs

# --- deep sigmoid networks ------------------------------------------------------------------------

SIGMOID_WIDTH = 100


def sigmoid_network(depth: int) -> Network:
    """``depth`` sigmoid layers of 100 units on 14 x 14 images."""
    return pooled(*[SIGMOID_WIDTH] * depth, 10, by=2, activation="sigmoid")


SIGMOID_RECIPE = Recipe(SGD(lr=0.1, momentum=0.9), batch=32, steps=80)
SCHEDULE = Schedule(epochs=3, images=1000, batch=20, lr=0.4, pool=2)
PRETRAINED = pretrained(SCHEDULE)
TURNED_ROUND = pretrained(replace(SCHEDULE, lr=-0.4))  # a learning rate of the wrong sign
