"""Identity trains: a network whose start has no randomness learns, narrow or wide."""

from initcheck import Arm, claim
from initcheck.notebooks.arms import (
    IDENTITY_NARROWING,
    POOLED,
    POOLED_RECIPE,
    SPRAY_NARROWING,
    equal_then,
    hadamard_biased,
    identity_biased,
)
from initcheck.probes import test_accuracy
from initcheck.probes.signals import nats_learned

NARROW, MIDDLE, BROAD = (
    Arm(equal_then(w, w, 10), identity_biased, POOLED_RECIPE) for w in (64, 128, 256)
)


@claim(source="notebook 002; a2-acc, its figures of a whole epoch at full scale", kind="measured")
def test_identity_learns(verdict):
    """Under SGD, the partial identity learns although nothing in it is random; Spray does not."""
    verdict.holds(test_accuracy, treated=IDENTITY_NARROWING, control=SPRAY_NARROWING)


@claim(source="notebook 002; a2-identity-trains", kind="measured")
def test_identity_learns_alike_at_every_width(verdict):
    """From the partial identity, SGD makes wide ReLU networks about as accurate as narrow ones.

    Every hidden layer is at least as wide as the input. The units beyond the input start with equal
    biases and stay equal, so more of them add nothing.
    """
    verdict.gains(test_accuracy, better=NARROW, worse=BROAD, case="64 as good as 256")
    verdict.gains(test_accuracy, better=BROAD, worse=NARROW, case="256 as good as 64")
    verdict.gains(test_accuracy, better=MIDDLE, worse=BROAD, case="128 as good as 256")


@claim(source="notebook 002; a2-identity-trains: ZerO against it, found otherwise", kind="measured")
def test_identity_learns_sooner_than_hadamard(verdict):
    """On strongly pooled images, the partial identity lowers the training loss sooner than ZerO.

    Under SGD on whole images at a larger width, neither start was ahead on every seed.
    """
    zero = Arm(POOLED, hadamard_biased, POOLED_RECIPE)
    verdict.gains(nats_learned, better=MIDDLE, worse=zero)
