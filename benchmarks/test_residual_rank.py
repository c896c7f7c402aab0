"""Residual rank: the rank that W - I can reach from identity initialization.

W is the square hidden layer after the widening one. An identity start gives each pixel one unit of
it; the other units are padding.
"""

from functools import partial

import pytest

from initcheck import SGD, Adam, AdamW, Arm, Recipe, RMSprop, claim
from initcheck.initializers import (
    every,
    hadamard_,
    orthogonal_,
    padded_identity_,
    partial_identity_,
    uniform_,
)
from initcheck.notebooks.arms import (
    POOLED_BIAS_FREE,
    POOLED_PIXELS,
    SQUARE,
    WIDE_BIAS_FREE,
    WIDENING,
    identity_biased,
)
from initcheck.probes import residual_off_pixels, residual_outside, residual_rank

rank = partial(residual_rank, layer=SQUARE)
exact_rank = partial(residual_rank, layer=SQUARE, tolerance=1e-10)  # float64 rounds at 1e-16
off_pixels = partial(residual_off_pixels, layer=SQUARE)
outside = partial(residual_outside, layer=SQUARE, inputs=POOLED_PIXELS)

identity = every(partial_identity_, name="partial identity")
hadamard = every(hadamard_, name="hadamard")
haar = identity.but("hidden2.weight", orthogonal_())  # hidden2 is the widening layer
random_biases = every(partial_identity_, uniform_(0, 0.02), "partial identity, random biases")

WIDE_RECIPE = Recipe(SGD(lr=0.3), batch=32, steps=60)  # the notebook: lr .1, batch 64, one epoch
IDENTITY, HADAMARD, HAAR = (
    Arm(WIDE_BIAS_FREE, start, WIDE_RECIPE) for start in (identity, hadamard, haar)
)
BIASED_RECIPE = Recipe(SGD(lr=0.2), batch=16, steps=60, dtype="float64")  # 14 x 14 images

OPTIMIZERS = {
    "sgd": SGD(lr=0.1),
    "momentum": SGD(lr=0.1, momentum=0.9),
    "adam": Adam(lr=1e-3),
    "rmsprop": RMSprop(lr=1e-3),
}
NOISE = 1e-6  # standard deviation: far below the singular values that are counted
BATCH, STEPS = 32, 60  # images per step, steps; images are pooled to 7 x 7


@claim(source="notebook 002; ZerO, arXiv 2110.12661, Theorem 1; a2-rank-support", kind="theorem")
def test_identity_caps_residual_rank(verdict):
    """Under SGD, identity starts keep the rank of W - I below the number of pixels.

    Without biases, a unit that belongs to no lit pixel outputs exact zeros and gets exact zeros
    back, so W - I stays bit-zero there.
    """
    verdict.holds(off_pixels, treated=IDENTITY, control=HADAMARD)
    verdict.holds(rank, treated=IDENTITY, control=HADAMARD)


@claim(
    source="notebook 002; ZerO, arXiv 2110.12661, Algorithm 1; a2-hadamard-breaks",
    kind="measured",
    seeds=4,  # the arms are many ranges apart, and each seed is expensive
)
def test_hadamard_breaks_rank_cap(verdict):
    """Under SGD, a Hadamard transform mixes the pixels and breaks the cap on the rank of W - I.

    Mixing is what does it: no unit is left as padding. Random orthonormal columns in the widening
    layer mix the pixels too, and lift the rank as well.
    """
    verdict.holds(rank, treated=HADAMARD, control=IDENTITY)
    verdict.holds(rank, treated=HAAR, control=IDENTITY, case="Haar columns")


@claim(source="notebook 002; a2-rank-bias-plus-one", kind="theorem")
def test_equal_biases_add_at_most_one_dimension(verdict):
    """Under SGD, equal biases raise the rank that identity starts allow W - I by at most one.

    Padded units with equal biases stay equal. Biases that differ raise the rank further. Training
    in float64 keeps rounding far below every singular value that counts.
    """
    verdict.holds(
        exact_rank,
        treated=Arm(WIDENING, identity_biased, BIASED_RECIPE),
        control=Arm(WIDENING, random_biases, BIASED_RECIPE),
    )


@claim(source="IDInit, arXiv 2503.04626; b-idinit-padded", kind="measured")
def test_padded_identity_lifts_rank_cap(verdict):
    """Under SGD, an identity repeated with a little noise lifts the rank of W - I above the cap.

    Every unit of the widening layer then copies a pixel, and noise lets the copies part.
    """
    recipe = Recipe(OPTIMIZERS["sgd"], batch=BATCH, steps=STEPS)
    verdict.holds(
        rank,
        treated=Arm(POOLED_BIAS_FREE, every(padded_identity_(NOISE)), recipe),
        control=Arm(POOLED_BIAS_FREE, identity, recipe),
    )


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
