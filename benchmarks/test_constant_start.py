"""Constant starts: a network whose weights are all one learns nothing useful."""

from functools import partial

import pytest

from initcheck import Adam, Arm, Recipe, RMSprop, claim
from initcheck.initializers import ones, randn, torch_default
from initcheck.notebooks.arms import (
    NOTEBOOK_001_POOLED,
    ONES_DEFAULT_BIASES,
    ONES_ZERO_BIASES,
)
from initcheck.probes import test_accuracy, unit_spread
from initcheck.probes.outcomes import loss_off_chance
from initcheck.probes.units import weight_spread

BATCH, STEPS = 32, 80  # images per step, as in the notebook; steps
RECIPE = Recipe(Adam(lr=1e-2), BATCH, STEPS)  # the notebook's learning rate; it trains far longer
DEFAULT = Arm(NOTEBOOK_001_POOLED, torch_default, RECIPE)
ADAPTIVE = {"adam": Adam(lr=1e-2), "rmsprop": RMSprop(lr=1e-3)}  # plain SGD overflows here

in_both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])


@claim(source="notebook 001; a1-all-one-symmetric, b-constant-any-optimizer", kind="exact")
@pytest.mark.parametrize("optimizer", ADAPTIVE.values(), ids=ADAPTIVE)
@in_both_precisions
def test_all_one_network_stays_symmetric(verdict, optimizer, dtype):
    """Under Adam and RMSprop, the hidden units of an all-one ReLU network stay equal.

    Equal units get equal gradients. The number of steps is bounded, because kernels may sum rows in
    different orders and training amplifies the rounding that this leaves.
    """
    recipe = Recipe(optimizer, BATCH, STEPS, dtype=dtype)
    verdict.holds(
        unit_spread,
        treated=Arm(NOTEBOOK_001_POOLED, ones, recipe),
        control=Arm(NOTEBOOK_001_POOLED, torch_default, recipe),
    )


@claim(source="notebook 001; a1-all-one-loss0", kind="exact")
def test_all_one_network_starts_at_chance(verdict):
    """An all-one ReLU network starts at a loss of ln 10, though its logits are in the millions.

    All ten logits are equal. In float32, logits of this size can differ by rounding, so the claim
    uses float64.
    """
    recipe = Recipe(Adam(lr=1e-2), BATCH, steps=1, dtype="float64")
    verdict.holds(
        loss_off_chance,
        treated=Arm(NOTEBOOK_001_POOLED, ones, recipe),
        control=Arm(NOTEBOOK_001_POOLED, randn, recipe),
    )


@claim(
    source="notebook 001 and its exercises 1 and 2; a1-all-one-symmetric, a1-ones-zero-bias, "
    "a1-ones-rand-bias",
    kind="measured",
)
@pytest.mark.parametrize(
    "start",
    [ones, ONES_ZERO_BIASES, ONES_DEFAULT_BIASES],
    ids=["one-biases", "zero-biases", "default-biases"],
)
def test_all_one_weights_do_not_learn(verdict, start):
    """Under Adam, all-one weights do not learn, with biases of one, of zero or torch's default.

    The hidden state depends only on the sum of the pixels.
    """
    verdict.holds(test_accuracy, treated=Arm(NOTEBOOK_001_POOLED, start, RECIPE), control=DEFAULT)


@claim(source="notebook 001, exercise 2 as coded; a1-ones-rand-bias", kind="exact")
@pytest.mark.parametrize("layer", ["hidden2", "hidden3"])
def test_random_biases_part_all_one_units(verdict, layer):
    """Under Adam, torch's default biases break the symmetry of all-one weights.

    Different biases give units different outputs, so the weights that read them get different
    gradients. In float64, rounding is far smaller than this difference.
    """
    recipe = Recipe(Adam(lr=1e-2), BATCH, 40, dtype="float64")  # rounding is far below the effect
    verdict.holds(
        partial(weight_spread, layer=layer),
        treated=Arm(NOTEBOOK_001_POOLED, ONES_DEFAULT_BIASES, recipe),
        control=Arm(NOTEBOOK_001_POOLED, ONES_ZERO_BIASES, recipe),
    )
