"""Residual rank: the rank that W - I can reach from identity initialization."""

from functools import partial

import pytest

from initcheck import SGD, Adam, AdamW, Arm, Recipe, RMSprop, claim
from initcheck.initializers import every, hadamard_, normal_, partial_identity_
from initcheck.notebooks.arms import (
    HADAMARD,
    IDENTITY,
    POOLED,
    POOLED_BIAS_FREE,
    POOLED_PIXELS,
    RANK_RECIPE,
    SQUARE,
    identity_biased,
)
from initcheck.probes import residual_outside, residual_rank

rank = partial(residual_rank, layer=SQUARE)
outside = partial(residual_outside, layer=SQUARE, inputs=POOLED_PIXELS)

identity = every(partial_identity_, name="partial identity")
hadamard = every(hadamard_, name="hadamard")
OPTIMIZERS = {
    "sgd": SGD(lr=0.1),
    "momentum": SGD(lr=0.1, momentum=0.9),
    "adam": Adam(lr=1e-3),
    "rmsprop": RMSprop(lr=1e-3),
}
BATCH, STEPS = 32, 60  # images per step, steps; images are pooled to 7 x 7


@claim(source="notebook 002; ZerO, arXiv 2110.12661, Theorem 1; a2-rank-support", kind="theorem")
def test_identity_caps_residual_rank(verdict):
    """Under SGD, identity starts cap the rank of W - I at the number of inputs plus one.

    W is the square hidden layer. Units that only pad it stay equal, since their biases start equal,
    and so add one dimension at most. The Hadamard transform leaves no unit as padding.
    """
    verdict.holds(rank, treated=IDENTITY, control=HADAMARD)


@claim(source="notebook 002; ZerO, arXiv 2110.12661, Theorem 1; a2-rank-support", kind="theorem")
def test_identity_caps_residual_rank_without_biases(verdict):
    """Under SGD, without biases, identity starts cap the rank of W - I at the number of inputs.

    Units that only pad the square layer output exact zeros and get exact zeros back, so W - I stays
    bit-zero outside the block of the inputs.
    """
    arms = {
        "treated": Arm(POOLED_BIAS_FREE, identity, RANK_RECIPE),
        "control": Arm(POOLED_BIAS_FREE, hadamard, RANK_RECIPE),
    }
    verdict.holds(rank, **arms)
    verdict.holds(outside, **arms)


@claim(
    source="notebook 002; ZerO, arXiv 2110.12661, Algorithm 1; a2-hadamard-breaks", kind="theorem"
)
def test_hadamard_breaks_rank_cap(verdict):
    """Under SGD, ZerO's Hadamard transform lifts the rank of W - I above identity's cap.

    The transform spreads the inputs over all units, so none of them is padding.
    """
    verdict.holds(rank, treated=HADAMARD, control=IDENTITY)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@claim(source="notebook 002; ZerO, arXiv 2110.12661, Theorem 1; a2-rank-support", kind="theorem")
def test_identity_confines_residual_under_any_optimizer(verdict, optimizer, dtype):
    """SGD, Adam and RMSprop keep W - I in the block that identity starts confine it to.

    Without weight decay, each of them answers a zero gradient with a zero step. The network has no
    biases.
    """
    recipe = Recipe(OPTIMIZERS[optimizer], batch=BATCH, steps=STEPS, dtype=dtype)
    verdict.holds(
        outside,
        treated=Arm(POOLED_BIAS_FREE, identity, recipe),
        control=Arm(POOLED_BIAS_FREE, hadamard, recipe),
    )


@claim(source="notebook 002; a2-rank-support", kind="theorem")
def test_weight_decay_breaks_confinement(verdict):
    """Decoupled weight decay moves W - I out of the block that identity starts confine it to.

    AdamW shrinks the padded diagonal, which no gradient reaches.
    """
    decayed = Recipe(AdamW(lr=1e-3, weight_decay=0.01), batch=BATCH, steps=STEPS)
    plain = Recipe(OPTIMIZERS["adam"], batch=BATCH, steps=STEPS)
    verdict.holds(
        outside,
        treated=Arm(POOLED_BIAS_FREE, identity, decayed),
        control=Arm(POOLED_BIAS_FREE, identity, plain),
    )


@claim(source="notebook 002; a2-rank-bias-plus-one", kind="theorem")
def test_equal_biases_add_at_most_one_dimension(verdict):
    """Under Adam, equal biases raise the rank that identity starts allow W - I by at most one.

    Padded units with equal biases stay equal. Biases that differ raise the rank further.
    """
    recipe = Recipe(OPTIMIZERS["adam"], batch=BATCH, steps=STEPS)
    verdict.holds(
        rank,
        treated=Arm(POOLED, identity_biased, recipe),
        control=Arm(POOLED, every(partial_identity_, normal_(0.01), "random biases"), recipe),
    )
