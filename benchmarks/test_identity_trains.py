"""Identity trains: a network without randomness learns, at every width."""

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
    """Under plain SGD with lr .1, a ReLU network 49-49-32-32-10 on 7 x 7 images with biases .01
    reaches an accuracy of .42 in 100 steps from the partial identity, which has no randomness, and
    from Spray it does not."""
    verdict.holds(test_accuracy, treated=IDENTITY_NARROWING, control=SPRAY_NARROWING)


@claim(source="notebook 002; a2-identity-trains", kind="measured")
def test_identity_learns_alike_at_every_width(verdict):
    """Under plain SGD with lr .1, ReLU networks on 7 x 7 images, with 49 units and two further
    hidden layers, that start at the partial identity with biases .01 are after 100 steps as
    accurate where those layers have 64 units as where they have 256, within .02 either way, and
    where they have 128 at most .02 less accurate than where they have 256."""
    verdict.gains(test_accuracy, better=NARROW, worse=BROAD, case="64 as good as 256")
    verdict.gains(test_accuracy, better=BROAD, worse=NARROW, case="256 as good as 64")
    verdict.gains(test_accuracy, better=MIDDLE, worse=BROAD, case="128 as good as 256")


@claim(source="notebook 002; a2-identity-trains: ZerO against it, found otherwise", kind="measured")
def test_identity_learns_sooner_than_hadamard(verdict):
    """Under plain SGD with lr .1, a ReLU network 49-49-128-128-10 on 7 x 7 images with biases .01
    has over its first 100 steps a mean training loss that is from the partial identity at least .03
    nats below that from ZerO, whose second layer is a Hadamard transform."""
    zero = Arm(POOLED, hadamard_biased, POOLED_RECIPE)
    verdict.gains(nats_learned, better=MIDDLE, worse=zero)
