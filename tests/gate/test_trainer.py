"""The trainer trains each replica once and returns seeds in the requested order."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from initcheck import datasets
from initcheck.arms import Adam, Recipe
from initcheck.gate import trainer
from initcheck.gate.trainer import Laboratory
from initcheck.initializers import zeros
from initcheck.networks import Network, NetworkError
from tests.helpers import toy

RECIPE = Recipe(Adam(lr=0.01), batch=8, steps=6, keep_at=(3,), keep=("hidden1.weight",))
ARM = toy.arm(recipe=RECIPE)
OTHER = toy.arm(recipe=RECIPE, initializer=zeros)
NORMED = Network(
    "normed",
    lambda: nn.Sequential(nn.Flatten(), nn.BatchNorm1d(20), nn.Linear(20, toy.CLASSES)),
)


@pytest.fixture
def trainings(monkeypatch):
    """Every training that takes place, as (what initializer, which seeds)."""
    calls = []
    train = trainer.train

    def counted(arm, seeds, data, **how):
        calls.append((arm.initializer.name, tuple(seeds)))
        return train(arm, seeds, data, **how)

    monkeypatch.setattr(trainer, "train", counted)
    monkeypatch.setattr(datasets, "load", lambda name, **where: toy.data())
    return calls


def last_losses(trained):
    return trained.losses[:, -1]


def asked(probe_calls):
    """A probe that notes for which seeds it was asked."""

    def probe(trained):
        probe_calls.append(trained.seeds)
        return trained.losses[:, -1]

    return probe


# --- once


def test_an_arm_is_trained_once_whoever_asks(trainings):
    here = Laboratory()
    named = replace(ARM, name="the same, under another name")
    first = here.trained(ARM, (3, 5), "cpu")
    assert here.trained(named, (3, 5), "cpu") is first
    here.values(last_losses, ARM, (5, 3), "cpu")
    here.values(partial(last_losses), named, (5,), "cpu")
    assert trainings == [("he", (3, 5))]


def test_only_new_seeds_are_trained(trainings):
    here = Laboratory()
    here.trained(ARM, (3, 5), "cpu")
    here.trained(ARM, (7, 3, 8, 7), "cpu")
    here.trained(ARM, (8, 5), "cpu")
    assert trainings == [("he", (3, 5)), ("he", (7, 8))]


def test_arms_that_differ_are_trained_apart(trainings):
    here = Laboratory()
    here.trained(ARM, (3,), "cpu")
    here.trained(OTHER, (3,), "cpu")
    here.trained(toy.arm(recipe=replace(RECIPE, dtype="float64")), (3,), "cpu")
    assert trainings == [("he", (3,)), ("zeros", (3,)), ("he", (3,))]


def test_only_unknown_values_are_measured(trainings):
    here, calls = Laboratory(), []
    probe = asked(calls)
    here.values(probe, ARM, (3, 5), "cpu")
    here.values(probe, ARM, (5, 7, 3, 7), "cpu")
    assert calls == [(3, 5), (7,)]


# --- the right ones


def each_alone(seeds, network=toy.SMALL, recipe=RECIPE):
    arm = toy.arm(network, recipe)
    return [Laboratory(engine="module").trained(arm, (seed,), "cpu") for seed in seeds]


def assert_is_row(trained, r, alone):
    """Row r of a training in every tensor that it has, against that seed trained alone."""
    groups = ("start", "start_buffers", "parameters", "buffers")
    for group in groups:
        assert list(getattr(trained, group)) == list(getattr(alone, group))
        for name, tensor in getattr(trained, group).items():
            assert torch.equal(tensor[r], getattr(alone, group)[name][0]), (group, name)
    assert torch.equal(trained.losses[r], alone.losses[0])
    assert list(trained.kept) == list(alone.kept)
    for step, kept in trained.kept.items():
        for name, tensor in kept.items():
            assert torch.equal(tensor[r], alone.kept[step][name][0])


@pytest.mark.parametrize("network", [toy.SMALL, NORMED], ids=lambda network: network.name)
@pytest.mark.parametrize("seeds", [(3, 5, 7), (7, 3), (5,), (5, 7, 5)], ids=str)
def test_seeds_come_in_the_order_asked_for(trainings, seeds, network):
    recipe = RECIPE if network is toy.SMALL else replace(RECIPE, keep_at=(), keep=())
    here = Laboratory(engine="module")  # whose replicas are the same in bits in any company
    arm = toy.arm(network, recipe)
    here.trained(arm, (5, 3), "cpu")
    here.trained(arm, (7,), "cpu")
    found = here.trained(arm, seeds, "cpu")
    assert found.seeds == seeds
    for r, alone in enumerate(each_alone(seeds, network, recipe)):
        assert_is_row(found, r, alone)


def test_values_come_in_the_order_asked_for(trainings):
    here = Laboratory(engine="module")
    here.values(last_losses, ARM, (5, 3), "cpu")
    expected = [alone.losses[0, -1].item() for alone in each_alone((7, 3, 5, 3))]
    assert here.values(last_losses, ARM, (7, 3, 5, 3), "cpu") == expected


def test_what_is_remembered_of_the_logits_is_not_mixed_up(trainings):
    here = Laboratory(engine="module")
    both = here.trained(ARM, (3, 5), "cpu").test_logits
    assert torch.equal(here.trained(ARM, (5, 3), "cpu").test_logits, both.flip(0))


# --- data that a network changes


class Shifting(toy.Residual):
    """Takes the mean off its inputs, in the inputs' own memory."""

    def forward(self, x):
        x -= 0.1307
        return super().forward(x)


def told_apart(trained):
    """A probe that hands the data to a module itself, as probes of a start do."""
    module = trained.arm.build(trained.seeds[0])
    return module(trained.data.test_inputs[:8]).detach().double().amax()[None]


@pytest.fixture
def loaded_anew(monkeypatch):
    """The toy data, which are made again once they are forgotten."""
    cache = []

    def load(name, **where):
        cache[:] = cache or [toy.data.__wrapped__()]
        return cache[0]

    monkeypatch.setattr(datasets, "load", load)
    monkeypatch.setattr(datasets, "forget", cache.clear)


@pytest.mark.usefixtures("loaded_anew")
def test_data_that_a_network_changed_are_kept_for_no_other_claim():
    here = Laboratory()
    before = here.values(told_apart, toy.default_arm(toy.SMALL), (3,), "cpu")
    shifting = toy.default_arm(Network("shifting", Shifting))
    sentence = r"network 'shifting' changed its inputs .* the probe 'told_apart'.* write `x = x - "
    with pytest.raises(NetworkError, match=sentence):
        here.values(told_apart, shifting, (3,), "cpu")
    assert torch.equal(here.data("toy").test_inputs, toy.data().test_inputs)
    for asked_next in (here, Laboratory()):
        again = asked_next.values(partial(told_apart), toy.default_arm(toy.SMALL), (3,), "cpu")
        assert again == before


@pytest.mark.usefixtures("loaded_anew")
def test_data_are_forgotten_although_the_probe_fails_as_well():
    def failing(trained):
        told_apart(trained)
        raise KeyError("hidden9")

    here = Laboratory()
    with pytest.raises(NetworkError, match="changed its inputs"):
        here.values(failing, toy.default_arm(Network("shifting", Shifting)), (3,), "cpu")
    assert torch.equal(here.data("toy").test_inputs, toy.data().test_inputs)


# --- forgetting


@pytest.fixture
def room_for_one(monkeypatch):
    monkeypatch.setattr(trainer, "KEPT_BYTES", 1)


@pytest.mark.usefixtures("room_for_one")
def test_the_oldest_networks_go_first(trainings):
    here = Laboratory()
    for arm in (ARM, OTHER, OTHER, ARM):
        here.trained(arm, (3,), "cpu")
    assert [name for name, _ in trainings] == ["he", "zeros", "he"]


def test_what_was_asked_for_last_stays(trainings, monkeypatch):
    here = Laboratory()
    one = here.trained(ARM, (3,), "cpu").bytes
    monkeypatch.setattr(trainer, "KEPT_BYTES", 2 * one)
    here.trained(OTHER, (3,), "cpu")
    here.trained(ARM, (3,), "cpu")  # now OTHER is the one that was not asked for longest
    here.trained(toy.arm(recipe=replace(RECIPE, batch=9)), (3,), "cpu")
    trainings.clear()
    here.trained(ARM, (3,), "cpu")
    assert trainings == []
    here.trained(OTHER, (3,), "cpu")
    assert trainings == [("zeros", (3,))]


def test_an_arm_that_grows_beyond_the_bound_throws_out_others(trainings, monkeypatch):
    here = Laboratory()
    one = here.trained(ARM, (3,), "cpu").bytes
    here.trained(OTHER, (3,), "cpu")
    monkeypatch.setattr(trainer, "KEPT_BYTES", 2 * one)
    assert here.trained(ARM, (3, 5), "cpu").seeds == (3, 5)
    trainings.clear()
    here.trained(OTHER, (3,), "cpu")
    assert trainings == [("zeros", (3,))]


@pytest.mark.usefixtures("room_for_one")
def test_values_outlive_networks(trainings):
    here = Laboratory()
    first = here.values(last_losses, ARM, (3, 5), "cpu")
    here.trained(OTHER, (3,), "cpu")
    trainings.clear()
    assert here.values(last_losses, ARM, (5, 3), "cpu") == first[::-1]
    assert trainings == []
    here.values(last_losses, ARM, (3, 7), "cpu")
    assert trainings == [("he", (7,))]


def test_released_networks_are_trained_again_and_values_stay(trainings):
    here = Laboratory()
    first = here.values(last_losses, ARM, (3,), "cpu")
    here.release(ARM, "cpu")
    here.release(OTHER, "cpu")  # never trained: nothing to forget
    assert here.values(last_losses, ARM, (3,), "cpu") == first
    here.trained(ARM, (3,), "cpu")
    assert trainings == [("he", (3,))] * 2


def test_every_kind_of_tensor_counts(trainings):
    here = Laboratory()
    trained = here.trained(toy.arm(NORMED, replace(RECIPE, keep_at=(), keep=())), (3, 5), "cpu")
    normed = 2 * 20 * 4 + 2 * 20 * 4 + 8  # weight and bias; running mean, variance and count
    linear = (20 + 1) * toy.CLASSES * 4
    start = 2 * 20 * 4 + linear + 2 * 20 * 4 + 8  # its running mean, variance and count, too
    losses = RECIPE.steps * 8
    assert trained.bytes == 2 * (start + normed + linear + losses)
    kept = here.trained(ARM, (3,), "cpu").bytes
    bare = replace(ARM, recipe=replace(RECIPE, keep_at=(), keep=()))
    assert kept - here.trained(bare, (3,), "cpu").bytes == 16 * 20 * 4


# --- progress, engine


def test_progress_is_told_by_arm(trainings):
    told = []
    here = Laboratory(progress=lambda *what: told.append(what))
    here.trained(ARM, (3, 5, 7), "cpu")
    assert {(arm, total) for arm, _, total in told} == {("he", 18)}
    assert told[-1] == ("he", 18, 18)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)


@pytest.mark.parametrize("engine", ["ensemble", "module"])
def test_the_engine_is_the_one_asked_for(trainings, engine):
    assert Laboratory(engine=engine).trained(ARM, (3,), "cpu").engine == engine
