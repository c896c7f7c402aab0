"""The wave: from zero weights and random biases, gradients reach one more layer per step."""

from functools import partial

import pytest

from initcheck import SGD, Adam, Arm, Recipe, claim, mlp
from initcheck.initializers import every, randn_, torch_default, zeros_
from initcheck.notebooks.arms import CIFAR_FNN, MNIST_CNN, MNIST_FNN, STILL, parameters_of
from initcheck.probes.gradients import second_direction, wave_errors

ACTIVATIONS = ["elu", "relu", "tanh"]
WIDTHS = (784, 64, 32, 32, 10)  # four layers: the first waits three steps for a gradient
DEEP = parameters_of("hidden1", "hidden2", "hidden3", "output")
CONVOLUTIONS = parameters_of("conv1", "conv2", "output")
RANDOM_BIASES = every(zeros_, randn_, "zero weights, N(0, 1) biases")

in_both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])
under_two_optimizers = pytest.mark.parametrize(
    "optimizer", [STILL["momentum"], STILL["adam"]], ids=["momentum", "adam"]
)


def watched(optimizer, layers, *, batch=32, dtype="float32"):
    """A recipe of one step per layer and one more, which keeps all parameters after each step."""
    steps = len(layers) // 2 + 1
    return Recipe(optimizer, batch, steps, tuple(range(1, steps + 1)), layers, dtype)


def both_starts(network, recipe, data="mnist5k"):
    """Arms with random biases on zero weights, and with torch's default start."""
    return {
        "treated": Arm(network, RANDOM_BIASES, recipe, data),
        "control": Arm(network, torch_default, recipe, data),
    }


@claim(source="notebook 000; report figure 12; a0-wave", kind="exact")
@pytest.mark.parametrize("activation", ACTIVATIONS)
@under_two_optimizers
@in_both_precisions
def test_one_more_layer_wakes_a_step(verdict, activation, optimizer, dtype):
    """From zero weights and random biases, gradients reach one more layer per step.

    A gradient passes back only through weights that have already moved, so layers wake from the
    output backward. This holds for ELU, ReLU and tanh, without weight decay.
    """
    recipe = watched(optimizer, DEEP, dtype=dtype)
    verdict.holds(wave_errors, **both_starts(mlp(*WIDTHS, activation=activation), recipe))


@claim(source="notebook 000; a0-wave", kind="exact")
@under_two_optimizers
def test_one_more_convolution_wakes_a_step(verdict, optimizer):
    """From zero weights and random biases, gradients reach one more convolution per step.

    A convolution passes gradients back through its kernel as a linear layer does through its
    matrix.
    """
    recipe = watched(optimizer, CONVOLUTIONS, batch=4)  # expensive, and one image would be enough
    verdict.holds(wave_errors, **both_starts(MNIST_CNN, recipe))


@claim(source="notebook 000; report figure 12; a0-wave", kind="exact")
def test_one_more_layer_wakes_a_step_on_cifar(verdict):
    """On CIFAR-10, gradients reach one more layer per step from zero weights and random biases.

    The network uses ELU. Notebook 000's report shows this in its figure 12.
    """
    recipe = watched(Adam(lr=1e-3), DEEP, batch=16)
    verdict.holds(wave_errors, **both_starts(CIFAR_FNN, recipe, "cifar10"))


@claim(source="notebook 000; a0-wave-rank", kind="exact")
@in_both_precisions
def test_first_step_of_wave_has_rank_one(verdict, dtype):
    """From zero weights and random biases, the first SGD step at the output has rank one.

    The hidden units give every image the same outputs, so the gradient is one outer product.
    """
    recipe = Recipe(SGD(lr=0.1), batch=100, steps=1, dtype=dtype)
    verdict.holds(
        partial(second_direction, layer="output.weight"),
        treated=Arm(MNIST_FNN, RANDOM_BIASES, recipe),
        control=Arm(MNIST_FNN, torch_default.but("output.weight", zeros_), recipe),
    )
