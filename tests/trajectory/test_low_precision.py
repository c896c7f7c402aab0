"""Rounding errors of twins in what autocast rounds."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from initcheck.trajectory.low_precision import LOW, SUM_ERROR, Steps


def _disturbed(dtype, numbers=200_000):
    steps = Steps(torch.Generator().manual_seed(0))
    model = nn.Identity()
    steps.follow(model)
    values = torch.randn(numbers, generator=torch.Generator().manual_seed(1)).to(dtype)
    return values, model(values)


@pytest.mark.parametrize("dtype", LOW)
def test_a_few_numbers_move_to_a_neighbour(dtype):
    before, after = _disturbed(dtype)
    moved = before != after
    share = SUM_ERROR * torch.finfo(torch.float32).eps / torch.finfo(dtype).eps
    assert 0.7 * share < moved.double().mean() < 1.3 * share
    apart = (after.double() - before.double()).abs()[moved] / before.double().abs()[moved]
    assert (apart <= torch.finfo(dtype).eps).all()
    assert (apart > 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_other_outputs_keep_their_bits(dtype):
    before, after = _disturbed(dtype)
    assert torch.equal(before, after)


def test_outputs_longer_than_the_pool_are_disturbed_throughout():
    before, after = _disturbed(torch.bfloat16, 3 * 2**20 + 5)
    thirds = (before != after).double()[: 3 * 2**20].view(3, -1).mean(1)
    assert (thirds > 0).all()


def test_gradients_pass():
    steps = Steps(torch.Generator().manual_seed(0))
    model = nn.Linear(4, 3)
    steps.follow(model)
    with torch.autocast("cpu", torch.bfloat16):
        model(torch.ones(2, 4)).float().sum().backward()
    assert model.weight.grad is not None
    assert torch.allclose(model.weight.grad, torch.full((3, 4), 2.0), rtol=1e-2)


def test_a_model_in_bfloat16_is_disturbed_in_its_weights_alone():
    """Their twins are off by a step of bfloat16 already."""
    model = nn.Linear(4, 3).bfloat16()
    Steps(torch.Generator()).follow(model)
    assert not model._forward_hooks


def test_a_compiled_model_gets_no_hooks():
    model = nn.Sequential(nn.Linear(4, 3))
    model.compile(backend="eager")
    Steps(torch.Generator()).follow(model)
    assert not model[0]._forward_hooks
