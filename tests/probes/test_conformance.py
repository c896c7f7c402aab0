"""Signal, gradient and gains of the networks in which initializers are judged."""

from __future__ import annotations

import pytest
import torch

from initcheck import Adam, Arm, Recipe
from initcheck.initializers import (
    every,
    glorot_normal_,
    he_fan_out_,
    he_normal_,
    orthogonal_,
    scaled_,
    torch_default,
    zeros_,
)
from initcheck.networks import ACTIVATIONS
from initcheck.networks import conformance as networks
from initcheck.plugin import options
from initcheck.probes.conformance import (
    VANISHED,
    behind_the_usual,
    changes,
    decades_of_gradient,
    decades_of_signal,
    gains_of,
    spread_of_gains,
)
from initcheck.training.train import train

START = Recipe(Adam(lr=1e-3), batch=32, steps=0)


@pytest.fixture(scope="module")
def started(data):
    def start(network, initializer):
        return train(Arm(network, every(initializer), START), (1, 2), data)

    return start


@pytest.fixture(scope="module")
def data():
    from initcheck import datasets

    return datasets.load("mnist5k")


def test_gains_are_those_of_the_law(started):
    gains = gains_of(started(networks.mixed("relu"), he_normal_))
    assert list(gains) == ["dense", "grouped", "transposed", "narrowing", "widening"]
    for name, gain in gains.items():
        torch.testing.assert_close(gain, torch.full_like(gain, 2), rtol=0.3, atol=0, msg=name)


@pytest.mark.parametrize(
    ("initializer", "spread"), [(glorot_normal_, 0.90), (orthogonal_(), 0.90), (he_fan_out_, 1.81)]
)
def test_spread_of_gains_is_the_one_in_theory(started, initializer, spread):
    found = spread_of_gains(started(networks.mixed("relu"), initializer))
    torch.testing.assert_close(found, torch.full_like(found, spread), rtol=0, atol=0.1)


def test_linear_network_multiplies_signal_by_the_gains_and_gradient_by_those_of_fan_out(started):
    """A linear network keeps neither with gain² 2: both double at each of 18 layers."""
    signal, gradient = changes(started(networks.deep("linear"), he_normal_))
    doubled = 18 * torch.tensor(2.0).log10().double()
    for grown in (signal, gradient):
        torch.testing.assert_close(grown, doubled.expand_as(grown), rtol=0, atol=1)


@pytest.mark.parametrize("regime", ["deep", "shallow", "mixed", "residual", "embedded"])
def test_networks_are_built_for_every_activation(regime):
    build = getattr(networks, regime)
    for activation in ACTIVATIONS:
        assert build(activation) == build(activation)
        assert build(activation).build()(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_options_know_the_activations():
    assert tuple(ACTIVATIONS) == options.ACTIVATIONS


def test_a_start_of_zeros_has_lost_everything(started):
    deep, mixed = started(networks.deep("relu"), zeros_), started(networks.mixed("relu"), zeros_)
    for lost in (decades_of_signal(deep), decades_of_gradient(deep), spread_of_gains(mixed)):
        assert lost.tolist() == [VANISHED] * 2


def test_a_usual_start_is_not_behind_and_zeros_and_wrong_scales_are(data):
    recipe = Recipe(Adam(lr=1e-3), batch=32, steps=60)

    def behind(initializer):
        arm = Arm(networks.shallow("relu"), initializer, recipe)
        return behind_the_usual(train(arm, (1, 2), data))

    assert (behind(every(he_normal_, zeros_)) >= 0).all()  # it is one of the usual ones
    assert (behind(torch_default) < 0.25).all()
    assert (behind(every(zeros_)) > 0.6).all()
    assert (behind(every(scaled_(he_normal_, 10.0), zeros_)) > 0.3).all()
