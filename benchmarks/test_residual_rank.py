"""Residual rank: what identity initialization can and cannot add to W - I."""

from functools import partial

import pytest

from initcheck import SGD, Adam, AdamW, Arm, Recipe, RMSprop, claim
from initcheck.initializers import every, hadamard_, normal_, partial_identity_
from initcheck.probes import residual_outside, residual_rank
from initcheck.systems_wide import (
    HADAMARD,
    IDENTITY,
    POOLED,
    POOLED_BIAS_FREE,
    POOLED_PIXELS,
    RANK_RECIPE,
    SQUARE,
    identity_biased,
)

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
BATCH, STEPS = 32, 60  # images a step, steps, on images pooled to 7 x 7


@claim(source="notebook 002; ZerO, arXiv 2110.12661, Theorem 1; a2-rank-support", kind="theorem")
def test_identity_caps_residual_rank(verdict):
    """Under plain SGD with lr .2, notebook 002's ReLU network of hidden width 1024, wider than its
    784 inputs, with equal biases, that starts at the partial identity never lifts the rank of W - I
    in its square hidden layer above 785, one more than its inputs, in 150 steps."""
    verdict.holds(rank, treated=IDENTITY, control=HADAMARD)


@claim(source="notebook 002; ZerO, arXiv 2110.12661, Theorem 1; a2-rank-support", kind="theorem")
def test_identity_caps_residual_rank_without_biases(verdict):
    """Under plain SGD with lr .2 on 7 x 7 images, a bias-free ReLU network of hidden width 128 that
    starts at the partial identity never lifts the rank of W - I in its square hidden layer above
    its 49 inputs in 150 steps, and every entry beyond the leading 49 x 49 block stays bit-zero."""
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
    """Under plain SGD with lr .2, with the Hadamard transform in the widening layer, the same
    network with equal biases lifts the rank of W - I above 785, one more than its inputs, within
    150 steps."""
    verdict.holds(rank, treated=HADAMARD, control=IDENTITY)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@claim(source="notebook 002; ZerO, arXiv 2110.12661, Theorem 1; a2-rank-support", kind="theorem")
def test_identity_confines_residual_under_any_optimizer(verdict, optimizer, dtype):
    """On 7 x 7 images, under any optimizer that answers a zero gradient with a zero step, a
    bias-free ReLU network that starts at the partial identity keeps W - I of its square hidden
    layer bit-zero beyond the leading 49 x 49 block, for 60 steps."""
    recipe = Recipe(OPTIMIZERS[optimizer], batch=BATCH, steps=STEPS, dtype=dtype)
    verdict.holds(
        outside,
        treated=Arm(POOLED_BIAS_FREE, identity, recipe),
        control=Arm(POOLED_BIAS_FREE, hadamard, recipe),
    )


@claim(source="notebook 002; a2-rank-support", kind="theorem")
def test_weight_decay_breaks_confinement(verdict):
    """Decoupled weight decay shrinks the padded diagonal, which no gradient reaches, so under AdamW
    the residual of the same network leaves the leading block, which under Adam it does not."""
    decayed = Recipe(AdamW(lr=1e-3, weight_decay=0.01), batch=BATCH, steps=STEPS)
    plain = Recipe(OPTIMIZERS["adam"], batch=BATCH, steps=STEPS)
    verdict.holds(
        outside,
        treated=Arm(POOLED_BIAS_FREE, identity, decayed),
        control=Arm(POOLED_BIAS_FREE, identity, plain),
    )


@claim(source="notebook 002; a2-rank-bias-plus-one", kind="theorem")
def test_equal_biases_add_at_most_one_dimension(verdict):
    """Under Adam on 7 x 7 images, equal biases let the rank of W - I rise to 50 at most, one more
    than the 49 inputs, since all padded units stay alike; biases that differ lift it beyond."""
    recipe = Recipe(OPTIMIZERS["adam"], batch=BATCH, steps=STEPS)
    verdict.holds(
        rank,
        treated=Arm(POOLED, identity_biased, recipe),
        control=Arm(POOLED, every(partial_identity_, normal_(0.01), "random biases"), recipe),
    )
