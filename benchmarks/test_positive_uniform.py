"""Positive weights: a uniform law without its negative half leaves one direction."""

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
BATCH = 32  # images a step
RECIPES = {
    "momentum": Recipe(MOMENTUM, BATCH, steps=120),
    "adam": Recipe(Adam(lr=1e-3), BATCH, steps=80),
}


def starts(rule):
    """`torch.rand` times the rule's standard deviation, and the rule's uniform law."""
    return every(positive_uniform_(rule), zeros_), every(RULES[rule], zeros_)


@pytest.mark.parametrize("rule", RULES)
@claim(source="notebook 003; a3-positive-uniform-collapse", kind="theorem")
def test_positive_weights_start_in_one_direction(verdict, rule):
    """At its start from `torch.rand` times He's or LeCun's standard deviation, where no weight is
    negative, a network 784-512-1024-128-10 of ReLU, CELU and SiLU layers with zero biases maps test
    images to one direction of its last hidden layer, but for a hundredth of their squared norm at
    most; from the uniform law around zero it does not."""
    positive, centred = starts(rule)
    verdict.holds(
        top_share, treated=Arm(MIXED_WIDE, positive, START), control=Arm(MIXED_WIDE, centred, START)
    )


@pytest.mark.parametrize("optimizer", RECIPES)
@claim(source="notebook 003; a3-positive-uniform-collapse", kind="measured")
def test_positive_weights_do_not_learn(verdict, optimizer):
    """After 120 steps of SGD with momentum .9 and after 80 of Adam, both with lr 1e-3, a network
    196-128-256-32-10 of ReLU, CELU and SiLU layers on 14 x 14 images with zero biases is at least
    .15 less accurate from `torch.rand` times He's or LeCun's standard deviation, where no weight is
    negative, than from He's uniform law around zero."""
    centred = Arm(MIXED, starts("he")[1], RECIPES[optimizer])
    for rule in RULES:
        positive = Arm(MIXED, starts(rule)[0], RECIPES[optimizer])
        verdict.gains(test_accuracy, better=centred, worse=positive, case=rule)
