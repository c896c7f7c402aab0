"""Depth: more layers lower the training loss sooner, which is not yet a better network."""

from initcheck import SGD, Arm, Recipe, claim, mlp
from initcheck.initializers import zeros
from initcheck.notebooks.arms import DEEP, DEPTH_RECIPE, SHALLOW, glorot_uniform
from initcheck.probes import test_accuracy
from initcheck.probes.signals import nats_learned

FIVE, THREE = (Arm(net, glorot_uniform, DEPTH_RECIPE, name=net.name) for net in (DEEP, SHALLOW))
CONVEX = Recipe(SGD(lr=0.1), batch=32, steps=80)


@claim(source="notebook 004; a4-epoch1-cost, its epochs at full scale", kind="measured")
def test_deep_network_lowers_loss_sooner(verdict):
    """Under Adam with lr 1e-3, from Glorot's uniform weights and torch's default biases, the ReLU
    network 784-256x4-10 has a mean training loss over its first 40 steps of 32 images that is at
    least .05 nats below that of 784-128x2-10."""
    verdict.gains(nats_learned, better=FIVE, worse=THREE)


@claim(source="notebook 004; a4-depth-not-better", kind="measured")
def test_deep_network_is_not_more_accurate(verdict):
    """Under Adam with lr 1e-3, from Glorot's uniform weights and torch's default biases, the ReLU
    network 784-256x4-10 is after 40 steps of 32 images at most .05 more accurate than 784-128x2-10.
    """
    verdict.gains(test_accuracy, better=THREE, worse=FIVE)


@claim(source="notebook 004; a4-zero-bad", kind="measured")
def test_zero_start_fails_only_behind_hidden_layers(verdict):
    """Under plain SGD with lr .1, softmax regression 784-10 that starts at all zeros reaches an
    accuracy of .5 in 80 steps, and the ReLU network 784-64-64-10 from the same start does not."""
    verdict.holds(
        test_accuracy,
        treated=Arm(mlp(784, 10), zeros, CONVEX, name="softmax regression, zeros"),
        control=Arm(mlp(784, 64, 64, 10), zeros, CONVEX),
    )
