"""Scale: a network learns only if its signals survive the layers."""

from initcheck import SGD, Arm, Recipe, claim
from initcheck.initializers import he, randn
from initcheck.notebooks.arms import HE, MIXED_HALF, RANDN
from initcheck.probes import classes_predicted, test_accuracy
from initcheck.probes.signals import clamped_loss_gap, final_nats_learned, start_loss

# Best rates, chosen beforehand by the mean accuracy of the first four recording seeds:
#   He       1e-3 .60  2e-3 .75  4e-3 .81  8e-3 .83  1.6e-2 .85  3.2e-2 .84  6.4e-2 .84  .13 .64
#   N(0, 1)  5e-6 .31  1e-5 .45  2e-5 .56  4e-5 .57  8e-5   .43  1.6e-4 .28  3.2e-4 .12
HE_BEST, RANDN_BEST = (
    Arm(MIXED_HALF, start, Recipe(SGD(lr=lr, momentum=0.9), batch=32, steps=64))
    for start, lr in ((he, 1.6e-2), (randn, 4e-5))
)
SMALL_STEPS = Recipe(SGD(lr=2e-5, momentum=0.9), batch=32, steps=40)
RANDN_SMALL_STEPS = Arm(MIXED_HALF, randn, SMALL_STEPS, name="randn, lr 2e-5")


@claim(source="notebook 003; a3-randn-sgd-collapse", kind="measured")
def test_he_beats_randn(verdict):
    """At notebook 003's learning rate, He's start learns under momentum; N(0, 1) does not.

    From N(0, 1) the first steps blow up and the last hidden layer dies, so the output biases alone
    decide.
    """
    verdict.gains(test_accuracy, better=HE, worse=RANDN)
    verdict.gains(final_nats_learned, better=HE, worse=RANDN)
    verdict.holds(classes_predicted, treated=RANDN, control=HE)


@claim(source="notebook 003; a3-randn-small-lr-trains", kind="measured")
def test_he_beats_randn_at_best_rates(verdict):
    """Under SGD with momentum, He's start beats N(0, 1) with each at its own best learning rate.

    N(0, 1) learns at a small rate, but falls behind He's start.
    """
    verdict.gains(test_accuracy, better=HE_BEST, worse=RANDN_BEST)


@claim(source="notebook 003; a3-randn-small-lr-trains, a3-randn-sgd-collapse", kind="measured")
def test_randn_trains_at_small_learning_rate(verdict):
    """N(0, 1) learns under SGD with momentum if the learning rate is very small."""
    verdict.holds(test_accuracy, treated=RANDN_SMALL_STEPS, control=RANDN)


@claim(source="notebook 003; a3-loss-cap", kind="theorem")
def test_clamped_loss_counts_errors(verdict):
    """From N(0, 1), a loss with clamped probabilities only counts errors.

    The softmax is saturated, so an error costs the clamp's 18.42 nats and a right answer nothing.
    The loss without the clamp is larger.
    """
    verdict.holds(clamped_loss_gap, treated=RANDN, control=HE)
    verdict.holds(start_loss, treated=RANDN, control=HE)
