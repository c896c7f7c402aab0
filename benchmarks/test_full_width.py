"""Full width: headline claims in the notebooks' own networks, narrower or pooled at brief scale."""

from functools import partial

import pytest

from initcheck import SGD, Adam, Arm, Recipe, claim
from initcheck.initializers import he, randn, torch_default, zeros, zeros_
from initcheck.notebooks.arms import (
    MIXED_RECIPE,
    MIXED_WIDE,
    NOTEBOOK_001,
    RANK_RECIPE,
    SQUARE,
    WIDE,
    hadamard_biased,
    identity_biased,
)
from initcheck.probes import (
    classes_predicted,
    residual_rank,
    rows_against_bias,
    test_accuracy,
)
from initcheck.probes.signals import final_nats_learned

pytestmark = pytest.mark.usefixtures("full_scale")

rank = partial(residual_rank, layer=SQUARE)
IDENTITY, HADAMARD = (Arm(WIDE, s, RANK_RECIPE) for s in (identity_biased, hadamard_biased))

ADAM = Recipe(Adam(lr=1e-2), batch=32, steps=150)
ZEROED = torch_default.but("hidden1.weight", zeros_)

SMALL_STEPS = Recipe(SGD(lr=1e-5, momentum=0.9), batch=32, steps=32)
HE, RANDN = (Arm(MIXED_WIDE, start, MIXED_RECIPE) for start in (he, randn))
RANDN_SMALL_STEPS = Arm(MIXED_WIDE, randn, SMALL_STEPS, name="randn, lr 1e-5")


@claim(source="notebook 001; a1-one-layer-zero-ok, a1-dead-rows-exact", kind="measured")
def test_zeroed_hidden_layer_still_learns_at_full_width(verdict):
    """Under Adam with lr 1e-2, a ReLU network 784-64-32-32-10 from torch's default start but for
    zero weights in its first layer reaches an accuracy of .5 in 150 steps, which from all zeros it
    does not, and comes within .05 of the default start; exactly those units of that layer whose
    bias starts negative keep their weights and bias, bit by bit."""
    zeroed, default, all_zero = (
        Arm(NOTEBOOK_001, start, ADAM) for start in (ZEROED, torch_default, zeros)
    )
    verdict.holds(test_accuracy, treated=zeroed, control=all_zero)
    verdict.gains(test_accuracy, better=zeroed, worse=default, case="close to default")
    verdict.holds(partial(rows_against_bias, layer="hidden1"), treated=zeroed, control=default)


@claim(source="notebook 003; a3-randn-sgd-collapse", kind="measured")
def test_he_beats_randn_at_full_width(verdict):
    """Under SGD with momentum .9 and lr 1e-3, a network 784-512-1024-128-10 of ReLU, CELU and SiLU
    layers with zero biases learns in 64 steps from He's normal start, while from N(0, 1) it ends at
    least .3 less accurate, with a loss over its last ten steps at least .35 nats higher, and
    predicts five of ten classes at most."""
    verdict.gains(test_accuracy, better=HE, worse=RANDN)
    verdict.gains(final_nats_learned, better=HE, worse=RANDN)
    verdict.holds(classes_predicted, treated=RANDN, control=HE)


@claim(source="notebook 003; a3-randn-small-lr-trains, a3-randn-sgd-collapse", kind="measured")
def test_randn_trains_at_small_learning_rate_at_full_width(verdict):
    """From N(0, 1), a network 784-512-1024-128-10 of ReLU, CELU and SiLU layers with zero biases
    reaches an accuracy of .3 in 32 steps of SGD with momentum .9 and lr 1e-5, and in 64 steps with
    lr 1e-3 it does not."""
    verdict.holds(test_accuracy, treated=RANDN_SMALL_STEPS, control=RANDN)


@claim(source="notebook 002; ZerO, arXiv 2110.12661, Theorem 1; a2-rank-support", kind="theorem")
def test_identity_caps_residual_rank_at_full_width(verdict):
    """Under plain SGD with lr .2, a ReLU network 784-784-1024-1024-10 with biases .01 that starts
    at the partial identity has a W - I in its square hidden layer of rank 785 at most, one more
    than its inputs, after 50 and after 150 steps; with the Hadamard transform in its widening layer
    it has not."""
    verdict.holds(rank, treated=IDENTITY, control=HADAMARD)


@claim(
    source="notebook 002; ZerO, arXiv 2110.12661, Algorithm 1; a2-hadamard-breaks", kind="theorem"
)
def test_hadamard_breaks_rank_cap_at_full_width(verdict):
    """Under plain SGD with lr .2, a ReLU network 784-784-1024-1024-10 with biases .01 that starts
    with the Hadamard transform in its widening layer has a W - I in its square hidden layer of a
    rank above 785, one more than its inputs, after 50 or after 150 steps; from the partial identity
    it has not."""
    verdict.holds(rank, treated=HADAMARD, control=IDENTITY)
