"""The wave: from zero weights and random biases one more layer wakes at every step."""

from functools import partial

import pytest

from initcheck import SGD, Adam, Arm, Recipe, claim, mlp
from initcheck.initializers import every, randn_, torch_default, zeros_
from initcheck.notebooks.arms import CIFAR_FNN, MNIST_CNN, MNIST_FNN, STILL, parameters_of
from initcheck.probes.gradients import second_direction, wave_errors

ACTIVATIONS = ["elu", "relu", "tanh"]
WIDTHS = (784, 64, 32, 32, 10)  # four layers: the last sleeps for three steps
DEEP = parameters_of("hidden1", "hidden2", "hidden3", "output")
CONVOLUTIONS = parameters_of("conv1", "conv2", "output")
RANDOM_BIASES = every(zeros_, randn_, "zero weights, N(0, 1) biases")

in_both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])
under_two_optimizers = pytest.mark.parametrize(
    "optimizer", [STILL["momentum"], STILL["adam"]], ids=["momentum", "adam"]
)


def watched(optimizer, layers, *, batch=32, dtype="float32"):
    """One step a layer and one more, with all parameters kept after each."""
    steps = len(layers) // 2 + 1
    return Recipe(optimizer, batch, steps, tuple(range(1, steps + 1)), layers, dtype)


def both_starts(network, recipe, data="mnist5k"):
    """Random biases on zero weights, and torch's default start, which is awake at once."""
    return {
        "treated": Arm(network, RANDOM_BIASES, recipe, data),
        "control": Arm(network, torch_default, recipe, data),
    }


@claim(source="notebook 000; report figure 12; a0-wave", kind="exact")
@pytest.mark.parametrize("activation", ACTIVATIONS)
@under_two_optimizers
@in_both_precisions
def test_one_more_layer_wakes_a_step(verdict, activation, optimizer, dtype):
    """Under SGD with momentum .9 and lr .1 and under Adam with lr 1e-2, both without weight decay,
    a network 784-64-32-32-10 of ELU, ReLU or tanh units with zero weights and N(0, 1) biases has a
    gradient at step t in exactly its last t layers, in weights and biases, while the layers before
    them stay bit-unchanged; from torch's default start all layers have one at once."""
    recipe = watched(optimizer, DEEP, dtype=dtype)
    verdict.holds(wave_errors, **both_starts(mlp(*WIDTHS, activation=activation), recipe))


@claim(source="notebook 000; a0-wave", kind="exact")
@under_two_optimizers
def test_one_more_convolution_wakes_a_step(verdict, optimizer):
    """Under SGD with momentum .9 and lr .1 and under Adam with lr 1e-2, the report's MNIST
    network of two 5 x 5 ELU convolutions and one linear layer, with zero weights and N(0, 1)
    biases, wakes from its output layer backward, one layer a step; from torch's default start all
    layers are awake at once."""
    recipe = watched(optimizer, CONVOLUTIONS, batch=4)  # dear, and one image would do
    verdict.holds(wave_errors, **both_starts(MNIST_CNN, recipe))


@claim(source="notebook 000; report figure 12; a0-wave", kind="exact")
def test_one_more_layer_wakes_a_step_on_cifar(verdict):
    """Under Adam with lr 1e-3 and batch 16, the report's CIFAR network 3072-512-256-128-10 of ELU
    units, with zero weights and N(0, 1) biases, lights up layers 4, 3, 2 and 1 at steps 1, 2, 3 and
    4; from torch's default start all are lit at once."""
    recipe = watched(Adam(lr=1e-3), DEEP, batch=16)
    verdict.holds(wave_errors, **both_starts(CIFAR_FNN, recipe, "cifar10"))


@claim(source="notebook 000; a0-wave-rank", kind="exact")
@in_both_precisions
def test_first_step_of_wave_has_rank_one(verdict, dtype):
    """Under plain SGD with lr .1, the first step from zero weights and N(0, 1) biases adds a matrix
    of rank one to the output layer of an ELU network 784-500-10, since its hidden units cannot see
    the image; with torch's default hidden weights below an equally zero output layer it adds more.
    """
    recipe = Recipe(SGD(lr=0.1), batch=100, steps=1, dtype=dtype)
    verdict.holds(
        partial(second_direction, layer="output.weight"),
        treated=Arm(MNIST_FNN, RANDOM_BIASES, recipe),
        control=Arm(MNIST_FNN, torch_default.but("output.weight", zeros_), recipe),
    )
