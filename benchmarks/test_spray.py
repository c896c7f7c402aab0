"""Spray: averaging all inputs but one leaves one direction, as a constant start does."""

from initcheck import Arm, claim
from initcheck.probes import test_accuracy
from initcheck.probes.signals import top_share
from initcheck.systems_wide import (
    NARROW_256,
    ONE_256,
    SPRAY_256,
    START,
    one_n_each_biased,
    spray_biased,
)

SPRAY_START = Arm(NARROW_256, spray_biased, START)
ONE_START = Arm(NARROW_256, one_n_each_biased, START)


@claim(source="notebook 002; a2-spray-like-const", kind="theorem")
def test_spray_starts_in_one_direction(verdict):
    """At its start, a ReLU network of Spray layers maps every image to nearly one direction of its
    last hidden layer, while the permutations of OnE keep several."""
    verdict.holds(top_share, treated=SPRAY_START, control=ONE_START)


@claim(source="notebook 002; a2-spray-like-const", kind="measured")
def test_permutations_learn_where_spray_does_not(verdict):
    """Under plain SGD with lr .1 and equal biases, notebook 002's ReLU network of hidden width 256
    learns from OnE within 40 steps, while from Spray it stays near one guess."""
    verdict.gains(test_accuracy, better=ONE_256, worse=SPRAY_256)
    verdict.holds(test_accuracy, treated=SPRAY_256, control=ONE_256, case="near one guess")
