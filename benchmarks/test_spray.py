"""Spray: averaging all inputs but one leaves one direction, as a constant start does."""

from initcheck import Arm, claim, mlp
from initcheck.probes import test_accuracy
from initcheck.probes.signals import top_share
from initcheck.systems_wide import (
    ONE_NARROWING,
    PIXELS,
    SPRAY_NARROWING,
    START,
    one_n_each_biased,
    spray_biased,
)

NARROW_256 = mlp(PIXELS, PIXELS, 256, 256, 10)  # the notebook at hidden width 256
SPRAY_START = Arm(NARROW_256, spray_biased, START)
ONE_START = Arm(NARROW_256, one_n_each_biased, START)


@claim(source="notebook 002; a2-spray-like-const", kind="theorem")
def test_spray_starts_in_one_direction(verdict):
    """At its start, a ReLU network of Spray layers maps every image to nearly one direction of its
    last hidden layer, while the permutations of OnE keep several."""
    verdict.holds(top_share, treated=SPRAY_START, control=ONE_START)


@claim(source="notebook 002; a2-spray-like-const", kind="measured")
def test_permutations_learn_where_spray_does_not(verdict):
    """Under plain SGD with lr .1 and equal biases, on 7 x 7 images, a ReLU network whose hidden
    width 32 is below its 49 inputs learns from OnE within 100 steps, while from Spray it stays
    near one guess."""
    one, spray = ONE_NARROWING, SPRAY_NARROWING
    verdict.gains(test_accuracy, better=one, worse=spray)
    verdict.holds(test_accuracy, treated=spray, control=one, case="near one guess")
