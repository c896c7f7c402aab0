"""Zeroed layer: zero weights are harmless if biases differ, and zero biases if weights do."""

from functools import partial

from initcheck import Adam, Arm, Recipe, claim
from initcheck.initializers import torch_default, zeros, zeros_
from initcheck.notebooks.arms import DEFAULT_ZERO_BIASES, NOTEBOOK_001, ZEROS_DEFAULT_BIASES
from initcheck.probes import rows_against_bias, test_accuracy
from initcheck.probes.units import movement, zero_atom_error

RECIPE = Recipe(Adam(lr=1e-2), batch=32, steps=150)  # the notebook's rate and batch, fewer steps

DEFAULT = Arm(NOTEBOOK_001, torch_default, RECIPE)
ZEROED = Arm(NOTEBOOK_001, torch_default.but("hidden1.weight", zeros_), RECIPE, name="hidden1 zero")
ZERO_BIASES = Arm(NOTEBOOK_001, DEFAULT_ZERO_BIASES, RECIPE)
BIASES_ONLY = Arm(NOTEBOOK_001, ZEROS_DEFAULT_BIASES, RECIPE)
ALL_ZERO = Arm(NOTEBOOK_001, zeros, RECIPE)


@claim(source="notebook 001; a1-one-layer-zero-ok, a1-dead-rows-exact", kind="measured")
def test_zeroed_hidden_layer_still_learns(verdict):
    """Under Adam, zeroing the weights of one hidden ReLU layer costs little accuracy.

    In the zeroed layer exactly the units whose bias starts negative stay frozen; the others learn.
    From all zeros the network does not learn.
    """
    verdict.holds(test_accuracy, treated=ZEROED, control=ALL_ZERO)
    verdict.gains(test_accuracy, better=ZEROED, worse=DEFAULT, case="close to default")
    rows = partial(rows_against_bias, layer="hidden1")
    verdict.holds(rows, treated=ZEROED, control=DEFAULT)


@claim(source="notebook 001, its histograms; a1-weight-histogram", kind="exact")
def test_zeroed_layer_keeps_atom_at_zero(verdict):
    """A zeroed ReLU layer keeps a share of exact zeros equal to its share of negative biases.

    A unit with a negative bias stays dead under Adam without weight decay. Only pixels that many
    images light are counted, because a dark pixel gives no gradient to any unit.
    """
    atom = partial(zero_atom_error, layer="hidden1")
    verdict.holds(atom, treated=ZEROED, control=DEFAULT)


@claim(source="notebook 001, exercise 3; a1-zero-bias-ok", kind="measured")
def test_zero_biases_are_harmless(verdict):
    """Under Adam, torch's default weights learn about as well with zero biases as with its own."""
    verdict.holds(test_accuracy, treated=ZERO_BIASES, control=ALL_ZERO)
    verdict.gains(test_accuracy, better=ZERO_BIASES, worse=DEFAULT, case="no worse")
    verdict.gains(test_accuracy, better=DEFAULT, worse=ZERO_BIASES, case="no better")


@claim(source="notebook 001, exercise 2 as written; a1-zeros-rand-bias", kind="measured")
def test_random_biases_wake_zero_weights_late(verdict):
    """Under Adam, torch's default biases wake zero ReLU weights, but late.

    The network stays far behind the default start. In each hidden layer exactly the units whose
    bias starts negative stay frozen.
    """
    first = partial(movement, names=("hidden1.weight",))
    verdict.holds(first, treated=BIASES_ONLY, control=ALL_ZERO)
    verdict.gains(test_accuracy, better=DEFAULT, worse=BIASES_ONLY)
    for layer in ("hidden1", "hidden2", "hidden3"):
        rows = partial(rows_against_bias, layer=layer)
        verdict.holds(rows, treated=BIASES_ONLY, control=DEFAULT, case=layer)
