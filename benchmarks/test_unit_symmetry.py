"""Symmetries of units: signs, order and scale of weights that leave what a network computes.

A sign and a power of two commute with rounding, so they leave every bit. Another order of units
adds the same numbers in another order, and leaves all but the last bits.
"""

import pytest
import torch

from initcheck import SGD, Adam, Arm, Recipe, claim, mlp
from initcheck.initializers import every, he, he_normal_, scaled_
from initcheck.initializers.factory import factory
from initcheck.probes import logit_difference, loss_difference
from initcheck.probes.probe import largest

UNITS, BATCH, STEPS = 64, 32, 32
TANH = mlp(784, UNITS, 10, activation="tanh")
RELU = mlp(784, UNITS, 10)
DEEP = mlp(784, *[UNITS] * 9, 10, bias=False)
LAYERS = 10  # of DEEP
START = Recipe(SGD(lr=0.1), BATCH, 0)
HALF = every(scaled_(he_normal_, 1 / 2), name="He normal / 2")
THIRD = every(scaled_(he_normal_, 1 / 3), name="He normal / 3")
IMAGES = 200

under_two_optimizers = pytest.mark.parametrize(
    "optimizer", [SGD(lr=0.1, momentum=0.9), Adam(lr=1e-2)], ids=["momentum", "adam"]
)


def negated(tensor, axis):
    """The tensor with every other unit's weights negated."""
    signs = torch.ones(UNITS)
    signs[::2] = -1
    return tensor * (signs[:, None] if axis == 0 else signs)


def reversed_order(tensor, axis):
    """The tensor with its units in reversed order."""
    return tensor.flip(axis)


@factory
def incoming_(change):
    """He's draw, with units (rows) changed."""
    return lambda tensor, generator: tensor.copy_(change(he_normal_(tensor, generator).clone(), 0))


@factory
def outgoing_(change):
    """He's draw, with the weights from units (columns) changed."""
    return lambda tensor, generator: tensor.copy_(change(he_normal_(tensor, generator).clone(), 1))


def changed(change):
    """He's start, and the same with units changed, and with only their incoming weights changed."""
    half = he.but("hidden1.weight", incoming_(change))
    return he, half.but("output.weight", outgoing_(change)), half


def three_arms(network, change, optimizer):
    """Arms of the three starts."""
    recipe = Recipe(optimizer, BATCH, STEPS)
    reference, both, half = (Arm(network, start, recipe) for start in changed(change))
    return {"treated": both, "reference": reference, "control": half}


@claim(source="tanh is odd; b-sign-flip-exact", kind="exact")
@under_two_optimizers
def test_negated_tanh_units_train_the_same_bits(verdict, optimizer):
    """A tanh unit negated on both sides trains the same bits under momentum and Adam.

    Negated on its inputs only, it is another function.
    """
    arms = three_arms(TANH, negated, optimizer)
    verdict.equal(loss_difference, **arms)
    verdict.equal(logit_difference, **arms)


@claim(source="the order of units is arbitrary; b-permutation-equivariant", kind="exact")
def test_reordered_units_train_alike(verdict):
    """ReLU units in another order train alike, apart from rounding in sums over them.

    In another order on their inputs only, they are another network.
    """
    verdict.equal(loss_difference, **three_arms(RELU, reversed_order, SGD(lr=0.1, momentum=0.9)))


def scaled_difference(trained, reference):
    """Largest difference after scaling the logits by f^L and the gradients by f^(L - 1) at start.

    L is the number of layers, and f the whole number by which the arm's weights are smaller than
    the reference's. Gradients are of a weighted sum of the logits.
    """
    factor = _factor(trained, reference)
    differences = [
        _scaled(trained, seed, factor) - _scaled(reference, seed, 1) for seed in trained.seeds
    ]
    return torch.cat([largest(each.abs()) for each in differences])


def _factor(trained, reference):
    weights = [each.start["output.weight"][0].double().norm() for each in (reference, trained)]
    return round(float(weights[0] / weights[1]))


def _scaled(trained, seed, factor):
    """Scaled logits and gradients of one replica as one row, ``(1, N)`` float64."""
    module = trained.arm.build(seed).to(trained.device)
    logits = module(trained.data.train_inputs[:IMAGES])
    torch.autograd.backward((logits * torch.linspace(-1, 1, 10).to(logits)).sum())
    gradients = [p.grad.double().flatten() * factor ** (LAYERS - 1) for p in module.parameters()]
    return torch.cat([logits.detach().double().flatten() * factor**LAYERS, *gradients])[None]


@claim(source="ReLU is homogeneous; b-gain-scaling-exact", kind="exact")
def test_gain_multiplies_logits_and_gradients_by_known_powers(verdict):
    """Halved weights divide a bias-free ReLU network's logits by 2^L and gradients by 2^(L - 1).

    All layers' gradients shrink together, whatever the gain. A third of each weight does the same
    with powers of 3, apart from rounding.
    """
    verdict.equal(
        scaled_difference,
        treated=Arm(DEEP, HALF, START),
        reference=Arm(DEEP, he, START),
        control=Arm(DEEP, THIRD, START),
    )
