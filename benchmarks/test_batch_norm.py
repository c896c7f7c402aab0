"""Batch normalization between zero weights: a dead-lock that only rounding, or a shift, opens.

It maps a channel that is the same for every image to its shift, zero, so the linear layer behind it
sees zeros, and its own shift gets gradients only through that layer's zero weights.
"""

from functools import partial

import pytest

from initcheck import SGD, Adam, Arm, Recipe, claim
from initcheck.initializers import randn_, torch_default, zeros
from initcheck.notebooks.arms import (
    BATCH_NORM_CNN,
    CIFAR_CNN,
    EXACT_BIASES,
    MNIST_CNN,
    normal_biases,
)
from initcheck.probes.outcomes import few_logit_spread, images_told_apart
from initcheck.probes.units import movement

BATCH, STEPS = 16, 20  # images, steps; 16 images of 4 x 4 pixels: a power of two for the mean
LOCKED = ("conv1.weight", "conv2.weight", "norm.weight", "norm.bias", "hidden.weight")
CIFAR_LOCKED = ("conv1a.weight", "conv3b.weight", "norm3.bias", "hidden1.weight")

in_both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])
under_two_optimizers = pytest.mark.parametrize(
    "optimizer", [SGD(lr=0.01, momentum=0.9), Adam(lr=1e-2)], ids=["momentum", "adam"]
)


@claim(source="notebook 000; a0-zero-cnn-const", kind="exact")
@under_two_optimizers
def test_all_zero_convolutions_stay_zero(verdict, optimizer):
    """Under SGD with momentum .9 and lr 1e-2 and under Adam with lr 1e-2, both without weight
    decay, the report's all-zero MNIST network of two 5 x 5 ELU convolutions moves nothing but its
    output biases, for 10 steps, bit by bit; from torch's default start it moves more."""
    recipe = Recipe(optimizer, batch=4, steps=10)
    verdict.holds(
        movement,
        treated=Arm(MNIST_CNN, zeros, recipe),
        control=Arm(MNIST_CNN, torch_default, recipe),
    )


@claim(source="notebook 000; a0-zero-cnn-const", kind="exact")
@under_two_optimizers
@in_both_precisions
def test_all_zero_batch_norm_network_stays_zero(verdict, optimizer, dtype):
    """Under SGD with momentum .9 and lr 1e-2 and under Adam with lr 1e-2, both without weight
    decay, an all-zero ReLU network of two convolutions, batch normalization and linear layers
    128-32-10 moves nothing but its output biases, for 20 steps, bit by bit, since a channel of
    zeros is normalized to zeros; from torch's default start it moves more."""
    recipe = Recipe(optimizer, BATCH, STEPS, dtype=dtype)
    verdict.holds(
        movement,
        treated=Arm(BATCH_NORM_CNN, zeros, recipe),
        control=Arm(BATCH_NORM_CNN, torch_default, recipe),
    )


@claim(source="notebook 000; a0-bn-rounding", kind="exact")
@under_two_optimizers
@in_both_precisions
def test_batch_norm_locks_zero_weights(verdict, optimizer, dtype):
    """Under SGD with momentum .9 and lr 1e-2 and under Adam with lr 1e-2, a ReLU network of two
    convolutions, batch normalization and linear layers 128-32-10 with zero weights and random
    biases keeps all weights before the last layer bit-zero for 20 steps where the biases are powers
    of two, so that nothing is rounded; random shifts of the normalization free it."""
    recipe = Recipe(optimizer, BATCH, STEPS, dtype=dtype)
    verdict.holds(
        partial(movement, names=LOCKED),
        treated=Arm(BATCH_NORM_CNN, EXACT_BIASES, recipe),
        control=Arm(BATCH_NORM_CNN, EXACT_BIASES.but("norm.bias", randn_), recipe),
    )


@claim(source="notebook 000; a0-bn-rounding", kind="measured")
@in_both_precisions
def test_rounding_opens_batch_norm_lock(verdict, dtype):
    """Under Adam with lr 1e-2, a ReLU network of two convolutions, batch normalization and linear
    layers 128-32-10 with zero weights and biases that are powers of two answers 32 test images
    alike, within 1e-5 of a logit, after 40 steps, in float32 and in float64, and from torch's
    default start it does not. On a CPU, biases from N(0, 1) that are not rounded to powers of two
    let it tell two of them apart on six of ten seeds or more."""
    recipe = Recipe(Adam(lr=1e-2), BATCH, 2 * STEPS, dtype=dtype)
    locked = Arm(BATCH_NORM_CNN, EXACT_BIASES, recipe)
    default = Arm(BATCH_NORM_CNN, torch_default, recipe)
    verdict.holds(few_logit_spread, treated=locked, control=default)
    rounded = Arm(BATCH_NORM_CNN, normal_biases(), recipe)
    # on an accelerator kernels may round to exactly zero, which is no fault
    verdict.rate(images_told_apart, treated=rounded, control=locked, only="cpu")


@claim(source="notebook 000; a0-zero-cnn-const, a0-bn-rounding", kind="exact")
def test_batch_norm_locks_zero_weights_on_cifar(verdict):
    """Under Adam at lr 1e-3, the notebook's CIFAR network of six ReLU convolutions with batch
    normalization keeps the zero weights of its convolutions and of its first linear layer bit-zero
    for 5 steps, whether its biases are zero or powers of two; from torch's default start it moves
    them."""
    recipe = Recipe(Adam(lr=1e-3), batch=4, steps=5)  # dear: 0.8 GFLOP an image and step
    default = Arm(CIFAR_CNN, torch_default, recipe, "cifar10")
    locked = partial(movement, names=CIFAR_LOCKED)
    for case, start in (("zero biases", zeros), ("random biases", EXACT_BIASES)):
        treated = Arm(CIFAR_CNN, start, recipe, "cifar10")
        verdict.holds(locked, treated=treated, control=default, case=case)
