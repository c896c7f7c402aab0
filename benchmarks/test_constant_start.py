"""Constant starts: all weights one is as blind as all weights zero, whatever the biases."""

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

BATCH, STEPS = 32, 80  # images a step, the notebook's; steps
RECIPE = Recipe(Adam(lr=1e-2), BATCH, STEPS)  # the notebook's lr; ten epochs of 562 steps there
DEFAULT = Arm(NOTEBOOK_001_POOLED, torch_default, RECIPE)
ADAPTIVE = {"adam": Adam(lr=1e-2), "rmsprop": RMSprop(lr=1e-3)}  # plain SGD overflows from here

in_both_precisions = pytest.mark.parametrize("dtype", ["float32", "float64"])


@claim(source="notebook 001; a1-all-one-symmetric", kind="exact")
@pytest.mark.parametrize("optimizer", ADAPTIVE.values(), ids=ADAPTIVE)
@in_both_precisions
def test_all_one_network_stays_symmetric(verdict, optimizer, dtype):
    """Under Adam with lr 1e-2 and RMSprop with lr 1e-3, on 14 x 14 images, the hidden units of a
    ReLU network 196-64-32-32-10 whose parameters all start at one stay alike within each layer for
    80 steps, up to rounding; from torch's default start they are not alike."""
    recipe = Recipe(optimizer, BATCH, STEPS, dtype=dtype)
    verdict.holds(
        unit_spread,
        treated=Arm(NOTEBOOK_001_POOLED, ones, recipe),
        control=Arm(NOTEBOOK_001_POOLED, torch_default, recipe),
    )


@claim(source="notebook 001; a1-all-one-loss0", kind="exact")
def test_all_one_network_starts_at_chance(verdict):
    """In float64, on 14 x 14 images, a ReLU network 196-64-32-32-10 whose parameters are all one
    has a first loss of ln 10, within 1e-6 nats, although its logits are in the millions, since all
    ten are equal; from N(0, 1) weights it has not."""
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
    """Under Adam with lr 1e-2, on 14 x 14 images, a ReLU network 196-64-32-32-10 whose weights are
    all one does not reach an accuracy of .45 in 80 steps, whether its biases start at one, at zero
    or at torch's default; from torch's default start it does."""
    verdict.holds(test_accuracy, treated=Arm(NOTEBOOK_001_POOLED, start, RECIPE), control=DEFAULT)


@claim(source="notebook 001, exercise 2 as coded; a1-ones-rand-bias", kind="exact")
@pytest.mark.parametrize("layer", ["hidden2", "hidden3"])
def test_random_biases_part_all_one_units(verdict, layer):
    """Under Adam with lr 1e-2 in float64, on 14 x 14 images, torch's default biases part the
    incoming weights of the second and the third hidden layer's units in a ReLU network
    196-64-32-32-10 whose weights all start at one by 1e-10 or more in 40 steps; with zero biases
    they stay closer than that."""
    recipe = Recipe(Adam(lr=1e-2), BATCH, 40, dtype="float64")  # rounding is far below the effect
    verdict.holds(
        partial(weight_spread, layer=layer),
        treated=Arm(NOTEBOOK_001_POOLED, ONES_DEFAULT_BIASES, recipe),
        control=Arm(NOTEBOOK_001_POOLED, ONES_ZERO_BIASES, recipe),
    )
