"""Full width: claims at notebook 003's widths, which brief scale halves."""

import pytest

from initcheck import SGD, Arm, Recipe, claim
from initcheck.initializers import he, randn
from initcheck.notebooks.arms import MIXED_RECIPE, MIXED_WIDE
from initcheck.probes import classes_predicted, test_accuracy
from initcheck.probes.signals import final_nats_learned

pytestmark = pytest.mark.usefixtures("full_scale")

SMALL_STEPS = Recipe(SGD(lr=1e-5, momentum=0.9), batch=32, steps=32)
HE, RANDN = (Arm(MIXED_WIDE, start, MIXED_RECIPE) for start in (he, randn))
RANDN_SMALL_STEPS = Arm(MIXED_WIDE, randn, SMALL_STEPS, name="randn, lr 1e-5")


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
