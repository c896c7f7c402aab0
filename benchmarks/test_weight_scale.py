"""Scale: whether signals survive the layers decides whether a network learns."""

from initcheck import SGD, Arm, Recipe, claim
from initcheck.initializers import randn
from initcheck.notebooks.arms import HE, MIXED_HALF, RANDN
from initcheck.probes import classes_predicted, test_accuracy
from initcheck.probes.signals import clamped_loss_gap, final_nats_learned, start_loss

SMALL_STEPS = Recipe(SGD(lr=2e-5, momentum=0.9), batch=32, steps=40)
RANDN_SMALL_STEPS = Arm(MIXED_HALF, randn, SMALL_STEPS, name="randn, lr 2e-5")


@claim(source="notebook 003; a3-randn-sgd-collapse", kind="measured")
def test_he_beats_randn(verdict):
    """Under SGD with momentum .9 and lr 1e-3, a network 784-256-512-64-10 of ReLU, CELU and SiLU
    layers with zero biases learns in 64 steps from He's normal start, while from N(0, 1) it ends at
    least .3 less accurate, with a loss over its last ten steps at least .35 nats higher, and
    predicts five of ten classes at most."""
    verdict.gains(test_accuracy, better=HE, worse=RANDN)
    verdict.gains(final_nats_learned, better=HE, worse=RANDN)
    verdict.holds(classes_predicted, treated=RANDN, control=HE)


@claim(source="notebook 003; a3-randn-small-lr-trains, a3-randn-sgd-collapse", kind="measured")
def test_randn_trains_at_small_learning_rate(verdict):
    """From N(0, 1), a network 784-256-512-64-10 of ReLU, CELU and SiLU layers with zero biases
    reaches an accuracy of .25 in 40 steps of SGD with momentum .9 and lr 2e-5, and in 64 steps with
    lr 1e-3 it does not."""
    verdict.holds(test_accuracy, treated=RANDN_SMALL_STEPS, control=RANDN)


@claim(source="notebook 003; a3-loss-cap", kind="theorem")
def test_clamped_loss_counts_errors(verdict):
    """At its start from N(0, 1), a network 784-256-512-64-10 of ReLU, CELU and SiLU layers with
    zero biases has a saturated softmax, so a loss whose probabilities are clamped at 1e-8 is 18.42
    nats times the share of errors, within .1, while the loss itself lies above 18.42; from He's
    normal start neither holds."""
    verdict.holds(clamped_loss_gap, treated=RANDN, control=HE)
    verdict.holds(start_loss, treated=RANDN, control=HE)
