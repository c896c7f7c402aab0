"""ZerO: the weights that Algorithm 1 builds in each layer, without random numbers."""

from functools import partial

from initcheck import Arm, claim, mlp
from initcheck.initializers import every, hadamard, hadamard_, he, identity, scaled_
from initcheck.notebooks.arms import (
    PIXELS,
    START,
    equal_then,
    hadamard_biased,
    identity_biased,
)
from initcheck.probes.signals import start_logit_range, start_loss
from initcheck.probes.starts import (
    identity_distance,
    magnitude_defect,
    orthonormal_defect,
    randomness_drawn,
)

WIDENING = "hidden1.weight"
POWER_OF_TWO = mlp(PIXELS, 1024, 10)
ODD_POWER = mlp(PIXELS, 2048, 10)  # 2^11, so the factor is not a power of two
NO_POWER_OF_TWO = mlp(PIXELS, 1000, 10)
NOT_WIDENING = mlp(PIXELS, PIXELS, 256, 256, 10)  # notebook 002's first run
AS_WIDENING = mlp(PIXELS, PIXELS, 1024, 1024, 10)  # notebook 002's last run
PRINTED = every(scaled_(hadamard_, 2**0.5), name="hadamard by 2^(-(m - 1) / 2)")


@claim(source="notebook 002; ZerO, arXiv 2110.12661, Algorithm 1; a2-zero-equals-eye", kind="exact")
def test_zero_is_identity_where_nothing_widens(verdict):
    """ZerO equals the partial identity, bit for bit, in a network where no layer widens."""
    verdict.holds(
        identity_distance,
        treated=Arm(equal_then(32, 16, 10), hadamard, START),
        control=Arm(equal_then(128, 128, 10), hadamard, START),
    )


@claim(
    source="notebook 002; ZerO, arXiv 2110.12661, Algorithm 1; a2-hadamard-orthonormal",
    kind="theorem",
)
def test_hadamard_columns_are_orthonormal(verdict):
    """ZerO's columns are orthonormal where a layer widens to a power of two.

    They are not at another width, nor with the factor 2^(-(m - 1) / 2) that the paper prints. At an
    even power of two, all entries also have the same magnitude.
    """
    defect = partial(orthonormal_defect, layer=WIDENING)
    magnitude = partial(magnitude_defect, layer=WIDENING)
    treated = Arm(POWER_OF_TWO, hadamard, START)
    other_width = Arm(NO_POWER_OF_TWO, hadamard, START, name="hadamard, width 1000")
    verdict.holds(defect, treated=treated, control=other_width)
    verdict.holds(
        defect, treated=treated, control=Arm(POWER_OF_TWO, PRINTED, START), case="printed factor"
    )
    odd = Arm(ODD_POWER, hadamard, START, name="hadamard, width 2048")
    verdict.holds(defect, treated=odd, control=other_width, case="odd power")
    verdict.holds(magnitude, treated=treated, control=Arm(POWER_OF_TWO, he, START))


@claim(source="notebook 002; ZerO, arXiv 2110.12661; a2-deterministic", kind="exact")
def test_zero_draws_no_randomness(verdict):
    """ZerO gives the same weights for every seed and leaves its generator unchanged."""
    verdict.holds(
        randomness_drawn,
        treated=Arm(equal_then(128, 128, 10), hadamard, START),
        control=Arm(equal_then(128, 128, 10), he, START),
    )


@claim(source="notebook 002; a2-loss0", kind="exact")
def test_identity_starts_at_loss_of_guessing(verdict):
    """Identity starts give MNIST a loss of ln 10 if no hidden layer is wider than the image.

    They copy the first ten pixels, which are always black, to the logits, and equal biases add the
    same to each, so all logits are equal. ZerO in a widening layer mixes other pixels in.
    """
    control = Arm(AS_WIDENING, hadamard, START)
    without = Arm(NOT_WIDENING, identity, START)
    equal = Arm(NOT_WIDENING, identity_biased, START)
    verdict.holds(start_logit_range, treated=without, control=control)
    verdict.holds(
        start_logit_range,
        treated=equal,
        control=Arm(AS_WIDENING, hadamard_biased, START),
        case="equal biases",
    )
    verdict.holds(start_loss, treated=without, control=control)
