"""Identity trains: a network without randomness learns, at every width."""

from initcheck import Arm, claim
from initcheck.probes import test_accuracy
from initcheck.systems_wide import (
    IDENTITY_NARROWING,
    POOLED_RECIPE,
    SPRAY_NARROWING,
    identity_biased,
    pooled,
)

NARROW, MIDDLE, BROAD = (
    Arm(pooled(w, w, 10), identity_biased, POOLED_RECIPE) for w in (64, 128, 256)
)


@claim(source="notebook 002; a2-acc", kind="measured")
def test_identity_learns(verdict):
    """Under plain SGD with lr .1 and equal biases, on 7 x 7 images, a ReLU network whose hidden
    width 32 is below its 49 inputs learns from the partial identity within 100 steps, though it
    starts without any randomness; from Spray it does not."""
    verdict.holds(test_accuracy, treated=IDENTITY_NARROWING, control=SPRAY_NARROWING)


@claim(source="notebook 002; a2-identity-trains", kind="measured")
def test_identity_learns_alike_at_every_width(verdict):
    """Under plain SGD on 7 x 7 images, hidden widths 64, 128 and 256 reach the same accuracy from
    the partial identity within two points, since units beyond the inputs are padding."""
    verdict.gains(test_accuracy, better=NARROW, worse=BROAD, case="64 as good as 256")
    verdict.gains(test_accuracy, better=BROAD, worse=NARROW, case="256 as good as 64")
    verdict.gains(test_accuracy, better=MIDDLE, worse=BROAD, case="128 as good as 256")
