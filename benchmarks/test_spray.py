"""Spray: averaging all inputs but one leaves one direction, as a constant start does."""

from initcheck import Arm, claim, mlp
from initcheck.notebooks.arms import (
    ONE_NARROWING,
    PIXELS,
    SPRAY_NARROWING,
    START,
    one_n_each_biased,
    spray_biased,
)
from initcheck.probes import test_accuracy
from initcheck.probes.signals import top_share

NARROW_256 = mlp(PIXELS, PIXELS, 256, 256, 10)  # the notebook at hidden width 256
SPRAY_START = Arm(NARROW_256, spray_biased, START)
ONE_START = Arm(NARROW_256, one_n_each_biased, START)


@claim(source="notebook 002; a2-spray-like-const", kind="theorem")
def test_spray_starts_in_one_direction(verdict):
    """At its start from Spray with biases .01, a ReLU network 784-784-256-256-10 maps test images
    to one direction of its last hidden layer, but for a thousandth of their squared norm at most;
    from the permutations of OnE it does not."""
    verdict.holds(top_share, treated=SPRAY_START, control=ONE_START)


@claim(source="notebook 002; a2-spray-like-const", kind="measured")
def test_permutations_learn_where_spray_does_not(verdict):
    """Under plain SGD with lr .1, a ReLU network 49-49-32-32-10 on 7 x 7 images with biases .01 is
    after 100 steps at least .32 more accurate from OnE than from Spray, from which it does not
    reach .39."""
    one, spray = ONE_NARROWING, SPRAY_NARROWING
    verdict.gains(test_accuracy, better=one, worse=spray)
    verdict.holds(test_accuracy, treated=spray, control=one, case="near one guess")
