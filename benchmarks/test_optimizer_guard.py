"""Optimizer guard: an optimizer must hold the parameters that the network computes with."""

import copy
from functools import partial

import pytest
from torch import nn

from initcheck import SGD, Adam, Arm, Network, Recipe, claim, mlp
from initcheck.initializers import torch_default
from initcheck.probes.outcomes import loss_movement
from initcheck.probes.units import unmoved_tensors

IMAGES = 4000  # all in every batch, so only the parameters can change the loss
NETWORK = mlp(784, 16, 10)
OPTIMIZERS = {"sgd": SGD(lr=0.01), "adam": Adam(lr=1e-3)}  # notebook 000's rates


class Replaced(nn.Module):
    """A network as in notebook 000: the optimizer holds parameters that no longer compute."""

    def __init__(self, network):
        super().__init__()
        self.held = network.build()  # named_parameters() lists these, so an optimizer holds them
        self._live = [copy.deepcopy(self.held)]  # in a list, which the module does not register

    def forward(self, x):
        """The logits of the parameters that replaced the listed ones."""
        return self._live[0].to(x)(x)


STALE = Network("mlp 784-16-10, parameters replaced", partial(Replaced, NETWORK))


@claim(source="notebook 000, its rows with SGD; a0-stale-optimizer", kind="exact")
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizer_moves_every_parameter(verdict, optimizer):
    """SGD and Adam move every weight matrix and bias vector that they are given.

    Initializers fill parameters in place. If they replaced them, the optimizer would hold tensors
    that no longer compute anything.
    """
    recipe = Recipe(optimizer, IMAGES, steps=3)
    verdict.holds(
        unmoved_tensors,
        treated=Arm(NETWORK, torch_default, recipe),
        control=Arm(STALE, torch_default, recipe),
    )


@claim(source="notebook 000, its rows with SGD; a0-stale-optimizer", kind="exact")
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_stale_optimizer_trains_nothing(verdict, optimizer):
    """An optimizer trains nothing if the network's parameters are replaced after it is built.

    The full-batch loss then stays the same, up to the order of summation.
    """
    recipe = Recipe(optimizer, IMAGES, steps=3)
    verdict.holds(
        loss_movement,
        treated=Arm(STALE, torch_default, recipe),
        control=Arm(NETWORK, torch_default, recipe),
    )
