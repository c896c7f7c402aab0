"""The optimizer must hold the parameters that compute, not others that they replaced."""

import copy
from functools import partial

import pytest
from torch import nn

from initcheck import SGD, Adam, Arm, Network, Recipe, claim, mlp
from initcheck.initializers import torch_default
from initcheck.probes.outcomes import loss_movement
from initcheck.probes.units import unmoved_tensors

IMAGES = 4000  # all of them in every batch, so that only the parameters can move the loss
NETWORK = mlp(784, 16, 10)
OPTIMIZERS = {"sgd": SGD(lr=0.01), "adam": Adam(lr=1e-3)}  # lr of notebook 000's rows


class Replaced(nn.Module):
    """A network as notebook 000 leaves it: the optimizer gets parameters that no longer compute."""

    def __init__(self, network):
        super().__init__()
        self.held = network.build()  # what named_parameters() gives, and so what an optimizer holds
        self._live = [copy.deepcopy(self.held)]  # in a list: the module does not know it

    def forward(self, x):
        """The answers of the parameters that took the others' place."""
        return self._live[0].to(x)(x)


STALE = Network("mlp 784-16-10, parameters replaced", partial(Replaced, NETWORK))


@claim(source="notebook 000, its rows with SGD; a0-stale-optimizer", kind="exact")
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_optimizer_moves_every_parameter(verdict, optimizer):
    """After 3 full-batch steps of SGD with lr 1e-2 or Adam with lr 1e-3 from torch's default start
    of a ReLU network 784-16-10, every weight matrix and bias vector that the optimizer was given
    has moved, since initializers fill parameters in place; had the network replaced its own, none
    of those the optimizer holds would."""
    recipe = Recipe(optimizer, IMAGES, steps=3)
    verdict.holds(
        unmoved_tensors,
        treated=Arm(NETWORK, torch_default, recipe),
        control=Arm(STALE, torch_default, recipe),
    )


@claim(source="notebook 000, its rows with SGD; a0-stale-optimizer", kind="exact")
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_stale_optimizer_trains_nothing(verdict, optimizer):
    """Under SGD with lr 1e-2 or Adam with lr 1e-3, a ReLU network 784-16-10 with torch's default
    start whose parameters were replaced after the optimizer was built keeps its full-batch loss for
    3 steps, up to the order of summation; the same network filled in place does not."""
    recipe = Recipe(optimizer, IMAGES, steps=3)
    verdict.holds(
        loss_movement,
        treated=Arm(STALE, torch_default, recipe),
        control=Arm(NETWORK, torch_default, recipe),
    )
