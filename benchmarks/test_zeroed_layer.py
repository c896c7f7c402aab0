"""One layer of zeros is harmless if its biases differ, and zero biases are if its weights do.

Notebook 001's network on images of a quarter of the pixels; ``test_full_width.py`` has whole ones.
"""

from functools import partial

from initcheck import Adam, Arm, Recipe, claim
from initcheck.initializers import torch_default, zeros, zeros_
from initcheck.notebooks.arms import (
    DEFAULT_ZERO_BIASES,
    NOTEBOOK_001_POOLED,
    ZEROS_DEFAULT_BIASES,
)
from initcheck.probes import rows_against_bias, test_accuracy
from initcheck.probes.units import movement, zero_atom_error

RECIPE = Recipe(Adam(lr=1e-2), batch=32, steps=150)  # the notebook's lr and batch; ten epochs there

DEFAULT = Arm(NOTEBOOK_001_POOLED, torch_default, RECIPE)
ZEROED = Arm(
    NOTEBOOK_001_POOLED, torch_default.but("hidden1.weight", zeros_), RECIPE, name="hidden1 zero"
)
ZERO_BIASES = Arm(NOTEBOOK_001_POOLED, DEFAULT_ZERO_BIASES, RECIPE)
BIASES_ONLY = Arm(NOTEBOOK_001_POOLED, ZEROS_DEFAULT_BIASES, RECIPE)
ALL_ZERO = Arm(NOTEBOOK_001_POOLED, zeros, RECIPE)


@claim(source="notebook 001; a1-one-layer-zero-ok, a1-dead-rows-exact", kind="measured")
def test_zeroed_hidden_layer_still_learns(verdict):
    """Under Adam with lr 1e-2, on 14 x 14 images, a ReLU network 196-64-32-32-10 from torch's
    default start but for zero weights in its first layer reaches an accuracy of .5 in 150 steps,
    which from all zeros it does not, and comes within .08 of the default start; exactly those units
    of that layer whose bias starts negative keep their weights and bias, bit by bit."""
    verdict.holds(test_accuracy, treated=ZEROED, control=ALL_ZERO)
    verdict.gains(test_accuracy, better=ZEROED, worse=DEFAULT, case="close to default")
    rows = partial(rows_against_bias, layer="hidden1")
    verdict.holds(rows, treated=ZEROED, control=DEFAULT)


@claim(source="notebook 001, its histograms; a1-weight-histogram", kind="exact")
def test_zeroed_layer_keeps_atom_at_zero(verdict):
    """Under Adam with lr 1e-2 and no weight decay, after 150 steps on 14 x 14 images of a ReLU
    network 196-64-32-32-10 from torch's default start but for zero weights in its first layer, the
    share of exact zeros among these, over pixels that a quarter of the images light, is the share
    of negative initial biases; if the layer is not zeroed it is not."""
    atom = partial(zero_atom_error, layer="hidden1")
    verdict.holds(atom, treated=ZEROED, control=DEFAULT)


@claim(source="notebook 001, exercise 3; a1-zero-bias-ok", kind="measured")
def test_zero_biases_are_harmless(verdict):
    """Under Adam with lr 1e-2, on 14 x 14 images, a ReLU network 196-64-32-32-10 with torch's
    default weights is as accurate after 150 steps with zero biases as with torch's, within .05
    either way."""
    verdict.holds(test_accuracy, treated=ZERO_BIASES, control=ALL_ZERO)
    verdict.gains(test_accuracy, better=ZERO_BIASES, worse=DEFAULT, case="no worse")
    verdict.gains(test_accuracy, better=DEFAULT, worse=ZERO_BIASES, case="no better")


@claim(source="notebook 001, exercise 2 as written; a1-zeros-rand-bias", kind="measured")
def test_random_biases_wake_zero_weights_late(verdict):
    """Under Adam with lr 1e-2, on 14 x 14 images, torch's default biases move the first layer's
    weights of a zero-weight ReLU network 196-64-32-32-10 by 1e-3 or more in 150 steps, which zero
    biases do not, but leave it at least .1 behind the default start; in each hidden layer exactly
    those units whose bias starts negative keep their weights and bias, bit by bit."""
    first = partial(movement, names=("hidden1.weight",))
    verdict.holds(first, treated=BIASES_ONLY, control=ALL_ZERO)
    verdict.gains(test_accuracy, better=DEFAULT, worse=BIASES_ONLY)
    for layer in ("hidden1", "hidden2", "hidden3"):
        rows = partial(rows_against_bias, layer=layer)
        verdict.holds(rows, treated=BIASES_ONLY, control=DEFAULT, case=layer)
