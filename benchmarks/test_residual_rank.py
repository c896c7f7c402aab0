"""Residual rank: what identity initialization can and cannot add to W - I."""

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
BATCH, STEPS = 32, 60  # images a step, steps, on images pooled to 7 x 7


@claim(source="notebook 002; ZerO, arXiv 2110.12661, Theorem 1; a2-rank-support", kind="theorem")
def test_identity_caps_residual_rank(verdict):
    """Under plain SGD with lr .2, a ReLU network 196-196-256-256-10 on 14 x 14 images with biases
    .01 that starts at the partial identity has a W - I in its square hidden layer of rank 197 at
    most, one more than its inputs, after 50 and after 150 steps; with the Hadamard transform in its
    widening layer it has not."""
    verdict.holds(rank, treated=IDENTITY, control=HADAMARD)


@claim(source="notebook 002; ZerO, arXiv 2110.12661, Theorem 1; a2-rank-support", kind="theorem")
def test_identity_caps_residual_rank_without_biases(verdict):
    """Under plain SGD with lr .2, a bias-free ReLU network 49-49-128-128-10 on 7 x 7 images that
    starts at the partial identity has, after 50 and after 150 steps, a W - I in its square hidden
    layer of rank 49 at most, the number of its inputs, and bit-zero beyond the leading 49 x 49
    block; with the Hadamard transform in its widening layer it has neither."""
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
    """Under plain SGD with lr .2, a ReLU network 196-196-256-256-10 on 14 x 14 images with biases
    .01 that starts with the Hadamard transform in its widening layer has a W - I in its square
    hidden layer of a rank above 197, one more than its inputs, after 50 or after 150 steps; from
    the partial identity it has not."""
    verdict.holds(rank, treated=HADAMARD, control=IDENTITY)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@claim(source="notebook 002; ZerO, arXiv 2110.12661, Theorem 1; a2-rank-support", kind="theorem")
def test_identity_confines_residual_under_any_optimizer(verdict, optimizer, dtype):
    """Under SGD with lr .1, with and without momentum .9, and under Adam and RMSprop with lr 1e-3,
    all of which answer a zero gradient with a zero step, a bias-free ReLU network 49-49-128-128-10
    on 7 x 7 images that starts at the partial identity has a W - I in its square hidden layer that
    is bit-zero beyond the leading 49 x 49 block after 60 steps."""
    recipe = Recipe(OPTIMIZERS[optimizer], batch=BATCH, steps=STEPS, dtype=dtype)
    verdict.holds(
        outside,
        treated=Arm(POOLED_BIAS_FREE, identity, recipe),
        control=Arm(POOLED_BIAS_FREE, hadamard, recipe),
    )


@claim(source="notebook 002; a2-rank-support", kind="theorem")
def test_weight_decay_breaks_confinement(verdict):
    """Under AdamW with lr 1e-3 and decay .01, a bias-free ReLU network 49-49-128-128-10 on 7 x 7
    images that starts at the partial identity has after 60 steps a W - I in its square hidden layer
    that reaches 6e-4, within a tenth, beyond the leading 49 x 49 block, since decoupled decay
    shrinks the padded diagonal, which no gradient reaches; under Adam with lr 1e-3 it has not."""
    decayed = Recipe(AdamW(lr=1e-3, weight_decay=0.01), batch=BATCH, steps=STEPS)
    plain = Recipe(OPTIMIZERS["adam"], batch=BATCH, steps=STEPS)
    verdict.holds(
        outside,
        treated=Arm(POOLED_BIAS_FREE, identity, decayed),
        control=Arm(POOLED_BIAS_FREE, identity, plain),
    )


@claim(source="notebook 002; a2-rank-bias-plus-one", kind="theorem")
def test_equal_biases_add_at_most_one_dimension(verdict):
    """Under Adam with lr 1e-3, a ReLU network 49-49-128-128-10 on 7 x 7 images that starts at the
    partial identity with biases .01 has after 60 steps a W - I in its square hidden layer of rank
    50 at most, one more than its inputs, since all padded units stay alike; with biases from N(0,
    .01^2) the rank is higher."""
    recipe = Recipe(OPTIMIZERS["adam"], batch=BATCH, steps=STEPS)
    verdict.holds(
        rank,
        treated=Arm(POOLED, identity_biased, recipe),
        control=Arm(POOLED, every(partial_identity_, normal_(0.01), "random biases"), recipe),
    )
