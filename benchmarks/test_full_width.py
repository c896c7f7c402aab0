"""Full width: headline claims at the notebooks' widths, which brief scale narrows or pools."""

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
    """Under Adam, on whole images, zeroing a hidden ReLU layer's weights costs little accuracy.

    In the zeroed layer exactly the units whose bias starts negative stay frozen; the others learn.
    From all zeros the network does not learn.
    """
    zeroed, default, all_zero = (
        Arm(NOTEBOOK_001, start, ADAM) for start in (ZEROED, torch_default, zeros)
    )
    verdict.holds(test_accuracy, treated=zeroed, control=all_zero)
    verdict.gains(test_accuracy, better=zeroed, worse=default, case="close to default")
    verdict.holds(partial(rows_against_bias, layer="hidden1"), treated=zeroed, control=default)


@claim(source="notebook 003; a3-randn-sgd-collapse", kind="measured")
def test_he_beats_randn_at_full_width(verdict):
    """At full width, He's start learns under SGD with momentum; N(0, 1) does not.

    From N(0, 1) the first steps blow up and the last hidden layer dies, so the output biases alone
    decide.
    """
    verdict.gains(test_accuracy, better=HE, worse=RANDN)
    verdict.gains(final_nats_learned, better=HE, worse=RANDN)
    verdict.holds(classes_predicted, treated=RANDN, control=HE)


@claim(source="notebook 003; a3-randn-small-lr-trains, a3-randn-sgd-collapse", kind="measured")
def test_randn_trains_at_small_learning_rate_at_full_width(verdict):
    """At full width, N(0, 1) learns under SGD with momentum if the learning rate is very small."""
    verdict.holds(test_accuracy, treated=RANDN_SMALL_STEPS, control=RANDN)


@claim(source="notebook 002; ZerO, arXiv 2110.12661, Theorem 1; a2-rank-support", kind="theorem")
def test_identity_caps_residual_rank_at_full_width(verdict):
    """Under SGD at full width, identity starts cap the rank of W - I at the inputs plus one.

    W is the square hidden layer. Units that only pad it stay equal, since their biases start equal,
    and so add one dimension at most. The Hadamard transform leaves no unit as padding.
    """
    verdict.holds(rank, treated=IDENTITY, control=HADAMARD)


@claim(
    source="notebook 002; ZerO, arXiv 2110.12661, Algorithm 1; a2-hadamard-breaks", kind="theorem"
)
def test_hadamard_breaks_rank_cap_at_full_width(verdict):
    """At full width, ZerO's Hadamard transform lifts the rank of W - I above identity's cap.

    W is the square hidden layer, trained by plain SGD. The transform spreads the inputs over all
    units, so none of them is padding.
    """
    verdict.holds(rank, treated=HADAMARD, control=IDENTITY)
