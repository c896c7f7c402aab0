"""Dead units: a ReLU unit with zero weights and a negative bias never gets a gradient."""

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

STEPS = 10  # gradients reach the hidden layer after two
ZEROED = torch_default.but("hidden1.weight", zeros_)
OPTIMIZERS = {name: STILL[name] for name in ("momentum", "adam", "rmsprop")}

in_both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])
under_each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)


@claim(source="notebook 000; a0-relu-half-dead, b-dead-unit-exact", kind="exact")
@under_each_optimizer
@in_both_precisions
def test_negative_biases_freeze_relu_rows(verdict, optimizer, dtype):
    """Without weight decay, exactly the zero-weight ReLU units with a negative bias never move.

    While the weights are zero, the bias is the unit's input to ReLU for every image, and for
    negative inputs the derivative is 0. ELU's derivative is positive everywhere, so its units do
    move.
    """
    recipe = Recipe(optimizer, 16, STEPS, dtype=dtype)
    verdict.holds(
        partial(rows_against_bias, layer="hidden1"),
        treated=Arm(MNIST_FNN_RELU, normal_biases(), recipe),
        control=Arm(MNIST_FNN, normal_biases(), recipe),
    )


@claim(source="notebook 000; a0-relu-half-dead", kind="theorem")
def test_normal_biases_kill_half_of_relu_units(verdict):
    """N(0, 1) biases on zero weights leave about half of the ReLU units dead.

    Each bias is negative with a probability of one half; a bias from U(0, 1) never is.
    """
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
    """Without weight decay, a zeroed ReLU layer freezes exactly the units with a negative bias.

    Units with torch's default weights are active for some images, so a negative bias does not
    freeze them.
    """
    recipe = Recipe(optimizer, 32, STEPS, dtype=dtype)
    verdict.holds(
        partial(rows_against_bias, layer="hidden1"),
        treated=Arm(NOTEBOOK_001, ZEROED, recipe),
        control=Arm(NOTEBOOK_001, torch_default, recipe),
    )
