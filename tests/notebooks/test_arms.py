"""Networks, starts and optimizers of the notebooks."""

import pytest
import torch

from initcheck.networks import mlp, pooled
from initcheck.notebooks.arms import (
    DECAYING,
    EXACT_BIASES,
    STILL,
    normal_biases,
    power_of_two_,
)


def test_pooled_networks_see_means_over_squares_of_pixels():
    images = torch.rand(3, 1, 28, 28, generator=generator())
    module = pooled(5, 10, by=2, activation="tanh").fresh(0)
    means = images.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))
    torch.testing.assert_close(module(images), module[1:](means))
    assert module.hidden1.in_features == means[0].numel() == 196


def test_equal_pooled_networks_are_the_same():
    assert pooled(5, 10, by=2) is pooled(5, 10, by=2)
    assert pooled(5, 10, by=2).name == "14 x 14 pooled, mlp 196-5-10 relu"


def generator():
    return torch.Generator().manual_seed(3)


def test_powers_of_two_have_an_exact_mean():
    drawn = power_of_two_(torch.empty(1000), generator())
    mantissas, _ = torch.frexp(drawn)
    assert set(mantissas.abs().tolist()) == {0.5}
    assert (drawn < 0).double().mean() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("optimizer", STILL.values(), ids=STILL)
def test_optimizers_without_decay_do_not_move_at_a_zero_gradient(optimizer):
    assert moved(optimizer) == 0


@pytest.mark.parametrize("optimizer", DECAYING.values(), ids=DECAYING)
def test_optimizers_with_decay_move_at_a_zero_gradient(optimizer):
    assert moved(optimizer) > 0


def moved(optimizer):
    parameter = torch.ones(1, requires_grad=True)
    parameter.grad = torch.zeros(1)
    optimizer.over([parameter]).step()
    return abs(parameter.item() - 1)


@pytest.mark.parametrize("start", [normal_biases(), EXACT_BIASES], ids=["normal", "exact"])
def test_weights_are_zero_and_biases_are_not(start):
    module = mlp(6, 5, 3).fresh(0)
    start(module, generator())
    for name, parameter in module.named_parameters():
        assert bool((parameter == 0).all()) == name.endswith("weight")
