"""Probes of streams measure what they say, on transformers whose answer is known."""

from __future__ import annotations

from math import log

import pytest
import torch

from initcheck import SGD, Arm, Recipe, mlp
from initcheck.datasets import load
from initcheck.initializers import every, normal_, torch_default, zeros_
from initcheck.networks.transformers import Plan, gpt, rows
from initcheck.probes.starts import gain_distance
from initcheck.probes.streams import (
    last_gradient,
    log_logits_moved,
    loss_off_shares,
    moment_added,
    start_text_loss,
    stream_moved,
)
from initcheck.training.train import train

SEEDS = (1, 2)
PLAN = Plan(depth=1, width=8, heads=2)
SMALL = every(normal_(0.02), zeros_)


def trained(start, *, lr=0.1, steps=1, network=None):
    """A small GPT, or another network on rows."""
    recipe = Recipe(SGD(lr=lr), batch=4, steps=steps)
    data = "mnist5k" if network else "names"
    return train(Arm(network or gpt(PLAN), start, recipe, data), SEEDS, load(data))


def test_silent_branches_add_nothing():
    silent = trained(SMALL.but("*.project.weight", zeros_))
    assert moment_added(silent, "blocks.0", "blocks.2").tolist() == [0, 0]
    assert moment_added(trained(torch_default), "blocks.0", "blocks.2").min() > 0


def test_zero_head_costs_the_logarithm_of_the_symbols():
    zero = trained(SMALL.but("head.weight", zeros_))
    assert start_text_loss(zero).tolist() == pytest.approx([log(39)] * 2, abs=1e-6)
    assert loss_off_shares(zero).tolist() == pytest.approx([0.705] * 2, abs=0.01)


def test_last_gradient_is_that_of_the_module():
    arm = trained(torch_default, network=rows(PLAN))
    module = arm.arm.build(SEEDS[0])
    images = arm.first_batch[0]
    logits = module(arm.data.train_inputs[images])
    torch.nn.functional.cross_entropy(logits, arm.data.train_targets[images]).backward()
    own = module.blocks[1].inner.project.weight.grad.norm()
    assert float(last_gradient(arm)[0]) == pytest.approx(float(own), rel=1e-5)


def test_nothing_moves_at_a_learning_rate_of_zero():
    still = trained(torch_default, lr=0.0, network=rows(PLAN))
    assert stream_moved(still).tolist() == [0, 0]
    assert log_logits_moved(still).tolist() == [-torch.inf] * 2
    assert stream_moved(trained(torch_default, network=rows(PLAN))).min() > 0


def test_distance_of_gains_sees_a_single_norm():
    assert gain_distance(trained(SMALL)).tolist() == [0, 0]
    one = SMALL.but("blocks.2.weight", zeros_)
    assert gain_distance(trained(one)).tolist() == [1, 1]


@pytest.mark.parametrize("probe", [last_gradient, stream_moved])
def test_a_network_without_branches_has_no_stream(probe):
    """Branches are found by their class. A protocol sees no layer of a module since Python 3.12."""
    with pytest.raises(TypeError, match="Sequential has no branch whose stream could be followed"):
        probe(trained(torch_default, network=mlp(784, 8, 10)))
