"""Parts of a draw: its signs suffice, its magnitudes do not, and a little noise breaks symmetry."""

from dataclasses import replace

from initcheck import Adam, Arm, Recipe, claim
from initcheck.initializers import constant_, every, he, he_normal_, zeros_
from initcheck.initializers.signs import disturbed_, magnitude_of_, sign_of_
from initcheck.networks import pooled
from initcheck.probes import test_accuracy

NETWORK = pooled(64, 32, 10, by=2)  # 196 pixels
RECIPE = Recipe(Adam(lr=3e-3), batch=32, steps=100)
SIGNS = every(sign_of_(he_normal_), zeros_, "signs of He normal, zero biases")
MAGNITUDES = every(magnitude_of_(he_normal_), zeros_, "magnitudes of He normal, zero biases")

SHALLOW = pooled(32, 10, by=2)
VALUE, NOISE = 0.01, 1e-6  # of every parameter
# float64, so that rounding, which parts equal units as well, takes longer than this to do so
PRECISE = Recipe(Adam(lr=1e-2), batch=32, steps=100, dtype="float64")
CONSTANT = replace(every(constant_(VALUE), constant_(VALUE)), name="every parameter .01")
DISTURBED = every(disturbed_(VALUE, NOISE), disturbed_(VALUE, NOISE))
DISTURBED = replace(DISTURBED, name="every parameter .01 plus N(0, 1e-6^2)")


@claim(source="arXiv 1905.01067, section 4; b-sign-magnitude", kind="measured")
def test_signs_train_about_as_well_as_whole_draws(verdict):
    """Under Adam, weights of one magnitude with the signs of He's draw train about as well.

    What the magnitudes of a draw add is small.
    """
    verdict.gains(test_accuracy, better=Arm(NETWORK, SIGNS, RECIPE), worse=Arm(NETWORK, he, RECIPE))


@claim(source="arXiv 1905.01067, section 4; b-sign-magnitude", kind="measured")
def test_signs_train_better_than_magnitudes(verdict):
    """Under Adam, the signs of He's draw train better than its magnitudes, all positive."""
    verdict.gains(
        test_accuracy, better=Arm(NETWORK, SIGNS, RECIPE), worse=Arm(NETWORK, MAGNITUDES, RECIPE)
    )


@claim(source="derived; b-symmetry-noise-escape", kind="measured")
def test_little_noise_frees_a_constant_start(verdict):
    """Under Adam, noise far below the constant of all parameters lets a network learn.

    Without it all hidden units stay equal, and so few classes are told apart.
    """
    verdict.holds(
        test_accuracy,
        treated=Arm(SHALLOW, DISTURBED, PRECISE),
        control=Arm(SHALLOW, CONSTANT, PRECISE),
    )
