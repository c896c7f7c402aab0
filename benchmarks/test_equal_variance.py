"""Laws of equal variance: the shape of a law matters little, its variance matters."""

import math

from initcheck import Adam, Arm, Recipe, claim
from initcheck.initializers import (
    every,
    he,
    he_normal_,
    he_uniform_,
    scaled_,
    trunc_normal_,
    zeros_,
)
from initcheck.networks import pooled
from initcheck.probes import test_accuracy
from initcheck.probes.signals import final_nats_learned

FANS = {"hidden1": 196, "hidden2": 64, "output": 32}  # inputs of each layer
NETWORK = pooled(64, 32, 10, by=2)
RECIPE = Recipe(Adam(lr=3e-3), batch=64, steps=100)

TRUNCATED = every(zeros_, zeros_, "truncated He normal, zero biases")
for layer, inputs in FANS.items():
    TRUNCATED = TRUNCATED.but(f"{layer}.weight", trunc_normal_(math.sqrt(2 / inputs)))

NORMAL, UNIFORM, CUT, SMALL = (
    Arm(NETWORK, start, RECIPE)
    for start in (
        he,
        every(he_uniform_, zeros_),
        TRUNCATED,
        every(scaled_(he_normal_, 0.1), zeros_),
    )
)


@claim(source="He et al., arXiv 1502.01852, eq. 10; b-uniform-vs-normal", kind="measured")
def test_uniform_and_normal_laws_of_equal_variance_train_alike(verdict):
    """Under Adam, He's uniform and normal laws, of equal variance, train a small network alike."""
    verdict.gains(test_accuracy, better=UNIFORM, worse=NORMAL, case="uniform as good")
    verdict.gains(test_accuracy, better=NORMAL, worse=UNIFORM, case="normal as good")
    verdict.gains(final_nats_learned, better=UNIFORM, worse=SMALL, case="another variance")


@claim(source="scipy.stats.truncnorm(-2, 2); b-truncation-harmless", kind="measured")
def test_truncation_at_equal_variance_is_harmless(verdict):
    """Under Adam, He's law trains a small network alike if it is cut, with its variance kept."""
    verdict.gains(test_accuracy, better=CUT, worse=NORMAL, case="truncated as good")
    verdict.gains(test_accuracy, better=NORMAL, worse=CUT, case="normal as good")
    verdict.gains(final_nats_learned, better=CUT, worse=SMALL, case="another variance")
