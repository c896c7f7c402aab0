"""Shares of dead chains are counted right, on chains whose answer is known."""

from __future__ import annotations

import pytest
import torch

from initcheck import SGD, Arm, Recipe
from initcheck.datasets import load
from initcheck.initializers import constant_, torch_default
from initcheck.networks.chains import BIASED_CHAIN
from initcheck.probes.births import dead_share
from initcheck.training.train import train

START = Recipe(SGD(lr=0.1), batch=4, steps=0)
ALIVE = constant_(0.5)


@torch.no_grad()
def negative_in_a_fifth_(tensor, _generator):
    """Weights of .5; all weights and biases of every fifth chain are negative."""
    tensor.fill_(0.5)
    tensor[::5] = -0.5
    return tensor


@torch.no_grad()
def only_the_bias_(tensor, _generator):
    """All weights are negative, and the bias outweighs what the layer before it gives."""
    tensor.fill_(-1e-3)
    tensor[..., -1] = 1.0
    return tensor


@pytest.mark.parametrize(
    ("later", "expected"), [(ALIVE, 0.0), (negative_in_a_fifth_, 0.2), (only_the_bias_, 0.0)]
)
def test_share_of_chains_with_a_dead_layer(later, expected):
    start = torch_default.but("first", ALIVE).but("later.*", ALIVE).but("later.3", later)
    trained = train(Arm(BIASED_CHAIN, start, START), (1, 2), load("mnist5k"))
    assert dead_share(trained).tolist() == pytest.approx([expected] * 2)
