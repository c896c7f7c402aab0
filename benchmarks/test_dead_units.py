"""Dead units: behind zero weights a ReLU with a negative bias never sees a gradient."""

from functools import partial

import pytest

from initcheck import Arm, Recipe, claim
from initcheck.initializers import torch_default, zeros_
from initcheck.notebooks.arms import (
    MNIST_FNN,
    MNIST_FNN_RELU,
    NOTEBOOK_001,
    STILL,
    normal_biases,
    uniform_biases,
)
from initcheck.probes import rows_against_bias
from initcheck.probes.units import dead_rows

STEPS = 10  # the wave has passed after two
ZEROED = torch_default.but("hidden1.weight", zeros_)
OPTIMIZERS = {name: STILL[name] for name in ("momentum", "adam", "rmsprop")}

in_both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])
under_each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


@claim(source="notebook 000; a0-relu-half-dead", kind="exact")
@under_each_optimizer
@in_both_precisions
def test_negative_biases_freeze_relu_rows(verdict, optimizer, dtype):
    """Under SGD with momentum .9 and lr .1, Adam with lr 1e-2 and RMSprop with lr 1e-3, none with
    weight decay, exactly those hidden units of a zero-weight ReLU network 784-500-10 whose N(0, 1)
    bias is negative keep their weights and bias, bit by bit, for 10 steps; of an ELU network's
    units it is not exactly those."""
    recipe = Recipe(optimizer, 16, STEPS, dtype=dtype)
    verdict.holds(
        partial(rows_against_bias, layer="hidden1"),
        treated=Arm(MNIST_FNN_RELU, normal_biases(), recipe),
        control=Arm(MNIST_FNN, normal_biases(), recipe),
    )


@claim(source="notebook 000; a0-relu-half-dead", kind="theorem")
def test_normal_biases_kill_half_of_relu_units(verdict):
    """Under Adam with lr 1e-2, from 180 to 320 of the 500 hidden units of a ReLU network 784-500-10
    with zero weights and N(0, 1) biases, as a fair coin would have it, are dead after 10 steps;
    with U(0, 1) biases it is another number."""
    recipe = Recipe(STILL["adam"], 16, STEPS)
    verdict.holds(
        partial(dead_rows, layer="hidden1"),
        treated=Arm(MNIST_FNN_RELU, normal_biases(), recipe),
        control=Arm(MNIST_FNN_RELU, uniform_biases(), recipe),
    )


@claim(source="notebook 001; a1-dead-rows-exact", kind="exact")
@under_each_optimizer
@in_both_precisions
def test_negative_biases_freeze_zeroed_rows(verdict, optimizer, dtype):
    """Under SGD with momentum .9 and lr .1, Adam with lr 1e-2 and RMSprop with lr 1e-3, none with
    weight decay, exactly those units of a ReLU network 784-64-32-32-10's first layer, zeroed under
    torch's default start, whose bias is negative keep their weights and bias, bit by bit, for 10
    steps; if the layer is not zeroed it is not exactly those."""
    recipe = Recipe(optimizer, 32, STEPS, dtype=dtype)
    verdict.holds(
        partial(rows_against_bias, layer="hidden1"),
        treated=Arm(NOTEBOOK_001, ZEROED, recipe),
        control=Arm(NOTEBOOK_001, torch_default, recipe),
    )
