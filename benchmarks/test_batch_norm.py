"""Batch normalization between zero weights: a deadlock that only rounding or a shift opens.

Normalization maps a channel that is the same for every image to its shift, which is zero. The
linear layer behind it therefore sees zeros, and the shift gets gradients only through the zero
weights of that layer.
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

BATCH, STEPS = 16, 20  # 16 images of 4 x 4 pixels: the mean divides by a power of two
LOCKED = ("conv1.weight", "conv2.weight", "norm.weight", "norm.bias", "hidden.weight")
CIFAR_LOCKED = ("conv1a.weight", "conv3b.weight", "norm3.bias", "hidden1.weight")

in_both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])
under_two_optimizers = pytest.mark.parametrize(
    "optimizer", [SGD(lr=0.01, momentum=0.9), Adam(lr=1e-2)], ids=["momentum", "adam"]
)


@claim(source="notebook 000; a0-zero-cnn-const", kind="exact")
@under_two_optimizers
def test_all_zero_convolutions_stay_zero(verdict, optimizer):
    """Under SGD and Adam, an all-zero ELU convolutional network trains only its output biases.

    Every other gradient is a product with an exact zero, and both optimizers turn a zero gradient
    into a zero step.
    """
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
    """Under SGD and Adam, an all-zero batch-norm network trains only its output biases.

    Batch normalization turns a channel of zeros into zeros, so no gradient passes. The optimizers
    use no weight decay, which would shrink the gain of the normalization.
    """
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
    """In exact arithmetic, batch norm keeps all zero weights below the output layer at zero.

    A channel that is the same for every image becomes its shift, which is zero, so the next layer
    gets no signal. The shift gets no gradient either, because it would pass that layer's zero
    weights. Biases that are powers of two avoid all rounding here; random shifts free the weights.
    """
    recipe = Recipe(optimizer, BATCH, STEPS, dtype=dtype)
    verdict.holds(
        partial(movement, names=LOCKED),
        treated=Arm(BATCH_NORM_CNN, EXACT_BIASES, recipe),
        control=Arm(BATCH_NORM_CNN, EXACT_BIASES.but("norm.bias", randn_), recipe),
    )


@claim(source="notebook 000; a0-bn-rounding", kind="measured")
@in_both_precisions
def test_rounding_opens_batch_norm_lock(verdict, dtype):
    """Under Adam, only rounding lets a batch-norm network with zero weights tell images apart.

    With biases that are powers of two nothing is rounded, and all images get the same logits. On a
    CPU, other normal biases leave a tiny rounding error, and on most seeds Adam enlarges it until
    the logits differ.
    """
    recipe = Recipe(Adam(lr=1e-2), BATCH, 2 * STEPS, dtype=dtype)
    locked = Arm(BATCH_NORM_CNN, EXACT_BIASES, recipe)
    default = Arm(BATCH_NORM_CNN, torch_default, recipe)
    verdict.holds(few_logit_spread, treated=locked, control=default)
    rounded = Arm(BATCH_NORM_CNN, normal_biases(), recipe)
    # On an accelerator, kernels may round to exactly zero, which is not a fault.
    verdict.rate(images_told_apart, treated=rounded, control=locked, only="cpu")


@claim(source="notebook 000; a0-zero-cnn-const, a0-bn-rounding", kind="exact")
def test_batch_norm_locks_zero_weights_on_cifar(verdict):
    """In exact arithmetic, batch norm locks zero weights of notebook 000's CIFAR network too.

    This holds for zero biases and for random biases that are powers of two. The claim watches the
    first and the last convolution and the first linear layer.
    """
    recipe = Recipe(Adam(lr=1e-3), batch=4, steps=5)  # expensive: 0.8 GFLOP per image and step
    default = Arm(CIFAR_CNN, torch_default, recipe, "cifar10")
    locked = partial(movement, names=CIFAR_LOCKED)
    for case, start in (("zero biases", zeros), ("random biases", EXACT_BIASES)):
        treated = Arm(CIFAR_CNN, start, recipe, "cifar10")
        verdict.holds(locked, treated=treated, control=default, case=case)
