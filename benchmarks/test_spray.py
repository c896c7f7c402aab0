"""Spray: averages of all inputs but one leave hidden states almost one direction."""

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
    """At Spray's start, the last hidden layer maps all images almost to one direction.

    Each unit averages all inputs but one, and such averages hardly differ. OnE permutes the inputs
    and keeps them apart.
    """
    verdict.holds(top_share, treated=SPRAY_START, control=ONE_START)


@claim(source="notebook 002; a2-spray-like-const", kind="measured")
def test_permutations_learn_where_spray_does_not(verdict):
    """Under SGD, a ReLU network learns from OnE's permutations but hardly from Spray."""
    one, spray = ONE_NARROWING, SPRAY_NARROWING
    verdict.gains(test_accuracy, better=one, worse=spray)
    verdict.holds(test_accuracy, treated=spray, control=one, case="near one guess")
