"""Positive weights: a uniform law without its negative half leaves hidden states one direction."""

import pytest

from initcheck import Adam, Arm, Recipe, claim
from initcheck.initializers import (
    every,
    he_uniform_,
    lecun_uniform_,
    positive_uniform_,
    zeros_,
)
from initcheck.notebooks.arms import MIXED, MIXED_WIDE, MOMENTUM, START
from initcheck.probes import test_accuracy
from initcheck.probes.signals import top_share

RULES = {"he": he_uniform_, "lecun": lecun_uniform_}
BATCH = 32  # images per step
RECIPES = {
    "momentum": Recipe(MOMENTUM, BATCH, steps=120),
    "adam": Recipe(Adam(lr=1e-3), BATCH, steps=80),
}


def starts(rule):
    """Two starts: `torch.rand` times the rule's standard deviation, and the rule's uniform law."""
    return every(positive_uniform_(rule), zeros_), every(RULES[rule], zeros_)


@pytest.mark.parametrize("rule", RULES)
@claim(source="notebook 003; a3-positive-uniform-collapse", kind="theorem")
def test_positive_weights_start_in_one_direction(verdict, rule):
    """Without negative weights, the last hidden layer maps all images almost to one direction.

    This is so at the start: sums of positive numbers hardly differ from unit to unit.
    """
    positive, centred = starts(rule)
    verdict.holds(
        top_share, treated=Arm(MIXED_WIDE, positive, START), control=Arm(MIXED_WIDE, centred, START)
    )


@pytest.mark.parametrize("optimizer", RECIPES)
@claim(source="notebook 003; a3-positive-uniform-collapse", kind="measured")
def test_positive_weights_do_not_learn(verdict, optimizer):
    """Under SGD and Adam, weights without negative values end far behind weights around zero."""
    centred = Arm(MIXED, starts("he")[1], RECIPES[optimizer])
    for rule in RULES:
        positive = Arm(MIXED, starts(rule)[0], RECIPES[optimizer])
        verdict.gains(test_accuracy, better=centred, worse=positive, case=rule)
