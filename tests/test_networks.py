"""Networks: named layers, seeded constructors, and wrong arguments refused in a sentence."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch
from torch import nn

from initcheck.networks import ACTIVATIONS, Network, NetworkError, mlp


def names(network):
    return [name for name, _ in network.build().named_children()]


def test_layers_are_named_from_one():
    assert names(mlp(20, 16, 12, 4)) == [
        "flatten", "hidden1", "relu1", "hidden2", "relu2", "output",
    ]  # fmt: skip
    assert names(mlp(20, 4)) == ["flatten", "output"]


def test_widths_are_those_requested():
    shapes = [tuple(p.shape) for p in mlp(20, 16, 12, 4).build().parameters()]
    assert shapes == [(16, 20), (16,), (12, 16), (12,), (4, 12), (4,)]


def test_biases_can_be_left_out():
    network = mlp(20, 16, 4, bias=False)
    assert network.name == "mlp 20-16-4 relu, no bias"
    assert [name for name, _ in network.build().named_parameters()] == [
        "hidden1.weight", "output.weight",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "kind"), ACTIVATIONS.items(), ids=ACTIVATIONS)
def test_activations_are_those_of_torch(name, kind):
    layers = dict(mlp(20, 16, 4, activation=name).build().named_children())
    assert type(layers[f"{name}1"]) is kind


def test_each_hidden_layer_can_have_its_own_activation():
    network = mlp(20, 16, 12, 4, activation=("tanh", "elu"))
    assert network.name == "mlp 20-16-12-4 tanh+elu"
    assert names(network)[2::2] == ["tanh1", "elu2"]


WRONG = {
    "no widths": ((), {}, r"at least two widths, for inputs and classes, but was given \(\)"),
    "one width": ((20,), {}, r"at least two widths, for inputs and classes, but was given \(20,\)"),
    "unknown": ((20, 16, 4), {"activation": "swish"}, "'swish' is not one of relu, elu, celu"),
    "one unknown": ((20, 9, 9, 4), {"activation": ("relu", "x")}, "'x' is not one of relu"),
    "too few": ((20, 9, 9, 4), {"activation": ("relu",)}, "1 activations .* 2 hidden layers"),
    "too many": ((20, 4), {"activation": ("relu",)}, "1 activations .* 0 hidden layers"),
}


@pytest.mark.parametrize(("widths", "options", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_mlp_is_refused(widths, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        mlp(*widths, **options)


@pytest.mark.parametrize(
    "other",
    [mlp(20, 16, 4), mlp(20, 16, 4, activation="relu"), mlp(20, 16, 4, bias=True)],
    ids=["same words", "activation spelt out", "bias spelt out"],
)
def test_equal_calls_give_equal_networks(other):
    assert other == mlp(20, 16, 4)


@pytest.mark.parametrize(
    "other",
    [mlp(20, 17, 4), mlp(20, 16, 4, activation="tanh"), mlp(20, 16, 4, bias=False)],
    ids=lambda network: network.name,
)
def test_different_networks_are_not_equal(other):
    assert other != mlp(20, 16, 4)


def test_a_seed_determines_what_the_constructor_draws():
    network = mlp(20, 16, 4)
    first, again, other = (network.fresh(seed).hidden1.weight for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_constructor_starts_as_torch_does_from_the_same_seed():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        plain = nn.Linear(20, 4)
    assert torch.equal(Network("linear", lambda: nn.Linear(20, 4)).fresh(7).weight, plain.weight)


def one_module():
    module = nn.Linear(20, 4)
    return lambda: module


def one_layer():
    layer = nn.Linear(20, 4)
    return lambda: nn.Sequential(nn.Flatten(), layer)


@pytest.mark.parametrize("made", [one_module, one_layer])
def test_a_network_that_returns_one_module_twice_is_refused(made):
    """Otherwise replicas would share a start, and one would continue where another ended."""
    network = Network("kept", made())
    module = network.fresh(3)
    with pytest.raises(NetworkError, match=r"'kept': build\(\) returned .* inside build\(\)"):
        network.fresh(5)
    again = Network("the same under another name", network.build)
    with pytest.raises(NetworkError, match="had returned before"):
        again.fresh(3)
    assert module is not None  # it was there all the time


def test_a_new_module_with_the_id_of_a_deleted_one_is_new():
    """Python reuses ids: a hundred modules, built one after the other, share a few."""
    network = mlp(20, 4)
    assert len({id(network.fresh(seed)) for seed in range(100)}) < 100


def test_layers_without_parameters_may_be_shared():
    features = nn.Linear(20, 20).requires_grad_(False)
    network = Network("head", lambda: nn.Sequential(nn.Flatten(), features, nn.Linear(20, 4)))
    first, second = network.fresh(3), network.fresh(5)
    assert first[1] is second[1]


def test_a_network_may_be_built_from_another_networks_fresh_module():
    inner = mlp(20, 4)
    network = Network("wrapped", lambda: nn.Sequential(inner.fresh(0), nn.Identity()))
    first, second = network.fresh(3), network.fresh(5)
    assert first[0] is not second[0]


def test_copies_of_one_module_are_new():
    module = mlp(20, 4).fresh(3)
    network = Network("copied", lambda: copy.deepcopy(module))
    first, second = network.fresh(3), network.fresh(5)
    assert torch.equal(first.output.weight, second.output.weight)


def test_building_leaves_global_random_state_unchanged():
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002 -- what is watched
    mlp(20, 16, 4).fresh(3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.array_equal(np.random.get_state()[1], before[2])  # noqa: NPY002 -- what is watched


def test_building_seeds_no_accelerator(monkeypatch):
    seeded = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    mlp(20, 16, 4).fresh(3)
    assert seeded == []
