"""Depth: more layers lower the training loss sooner, and zeros fail only behind hidden layers."""

from initcheck import SGD, Arm, Recipe, claim, mlp
from initcheck.initializers import zeros
from initcheck.notebooks.arms import DEEP, DEPTH_RECIPE, SHALLOW, glorot_uniform
from initcheck.probes import test_accuracy
from initcheck.probes.signals import nats_learned

FIVE, THREE = (Arm(net, glorot_uniform, DEPTH_RECIPE, name=net.name) for net in (DEEP, SHALLOW))
CONVEX = Recipe(SGD(lr=0.1), batch=32, steps=80)


@claim(source="notebook 004; a4-epoch1-cost, its epochs at full scale", kind="measured")
def test_deep_network_lowers_loss_sooner(verdict):
    """Under Adam, a deeper and wider ReLU network lowers the training loss sooner."""
    verdict.gains(nats_learned, better=FIVE, worse=THREE)


@claim(source="notebook 004; a4-zero-bad", kind="measured")
def test_zero_start_fails_only_behind_hidden_layers(verdict):
    """From all zeros, softmax regression learns under SGD; a multilayer ReLU network does not."""
    verdict.holds(
        test_accuracy,
        treated=Arm(mlp(784, 10), zeros, CONVEX, name="softmax regression, zeros"),
        control=Arm(mlp(784, 64, 64, 10), zeros, CONVEX),
    )
