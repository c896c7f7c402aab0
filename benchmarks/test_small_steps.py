"""Small steps: what descent keeps as its steps become small, and how little wide networks move.

For a ReLU unit without a bias, incoming and outgoing weights enter the network as a product only.
So a step changes the squares of both by the same amount, up to the square of the step.
"""

import torch

from initcheck import SGD, Arm, Recipe, claim
from initcheck.initializers import he
from initcheck.networks import pooled

LAYERS = ("hidden1.weight", "output.weight")  # (R, H, 196) and (R, 10, H)
WAY = 1.0  # learning rate times steps
RATES = 0.1, 0.01
BASE = 64  # hidden units at which both layers have the same rate


def along_weights(trained):
    """How far a unit's incoming and outgoing weights differ in their change along themselves.

    ``(R,)`` float64, of one step: <w, dw> of the rows of the hidden layer less that of the columns
    of the output layer, relative to the largest of them. Du, Hu & Lee 2018, arXiv 1806.00900,
    Theorem 2.1: both are equal for a ReLU unit without a bias.
    """
    (start, moved), (out_start, out_moved) = (_ways(trained, name) for name in LAYERS)
    incoming = (start * moved).sum(2)
    outgoing = (out_start * out_moved).sum(1)
    gap = (incoming - outgoing).abs().amax(1)
    return gap / torch.maximum(incoming.abs(), outgoing.abs()).amax(1)


def decades_of_imbalance(trained):
    """Root mean square change of |w in|² - |w out|² over the units, after training, as log10."""
    (start, moved), (out_start, out_moved) = (_ways(trained, name) for name in LAYERS)
    before = start.square().sum(2) - out_start.square().sum(1)
    after = (start + moved).square().sum(2) - (out_start + out_moved).square().sum(1)
    return (after - before).square().mean(1).sqrt().log10()


def decades_of_movement(trained):
    """Length of the first layer's way over the length of its start, as log10."""
    start, moved = _ways(trained, LAYERS[0])
    return (moved.square().sum((1, 2)) / start.square().sum((1, 2))).sqrt().log10()


def decades_below_start(trained):
    """The same with the other sign, for the comparison that has another margin."""
    return -decades_of_movement(trained)


def _ways(trained, name):
    """A parameter at its start, and its change over training, in float64 on the CPU."""
    start = trained.start[name].double().cpu()
    return start, trained.parameters[name].double().cpu() - start


def network(width, activation="relu"):
    """One hidden layer without biases, on images of 14 x 14."""
    return pooled(width, 10, by=2, bias=False, activation=activation)


@claim(source="arXiv 1806.00900, Theorem 2.1; b-balance-conserved", kind="theorem")
def test_relu_unit_moves_its_two_sides_equally(verdict):
    """A step moves a ReLU unit's incoming and outgoing weights equally along themselves.

    So |w in|² - |w out|² changes by the square of the step only. For a tanh unit the two differ.
    """
    recipe = Recipe(SGD(lr=0.1), batch=32, steps=1, dtype="float64")
    verdict.holds(
        along_weights,
        treated=Arm(network(64), he, recipe),
        control=Arm(network(64, "tanh"), he, recipe),
    )


@claim(source="arXiv 1806.00900, Theorem 2.1; b-balance-conserved", kind="measured")
def test_smaller_steps_keep_relu_units_balanced(verdict):
    """Over the same way, steps a tenth as long keep |w in|² - |w out|² five times better."""
    long, short = (
        Arm(network(64), he, Recipe(SGD(lr=lr), batch=32, steps=round(WAY / lr)), name=f"lr {lr}")
        for lr in RATES
    )
    verdict.gains(decades_of_imbalance, better=long, worse=short)


@claim(
    source="Chizat, Oyallon & Bach, arXiv 1812.07956, section 2; b-ntk-laziness", kind="measured"
)
def test_wider_network_moves_its_first_layer_less(verdict):
    """With NTK rates, four times the width halves how far the first layer moves, relative to it.

    The rate of the output layer goes as 1 / width, so networks of both widths learn as fast.
    """
    arms = {
        width: Arm(
            network(width), he,
            Recipe(SGD(lr=0.1), batch=32, steps=60, rates=(("output.weight", BASE / width),)),
            name=f"{width} units",
        )
        for width in (BASE, 4 * BASE)
    }  # fmt: skip
    narrow, wide = arms.values()
    verdict.gains(decades_below_start, better=wide, worse=narrow)
    verdict.gains(decades_of_movement, better=wide, worse=narrow, case="not far below")
