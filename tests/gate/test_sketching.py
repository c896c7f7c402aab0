"""Both engines sketch the same ways, of the reference's seeds alone, in the order of the seeds."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

from initcheck.arms import SGD, Adam, Recipe
from initcheck.envelope.compare import steps_judged
from initcheck.envelope.sketches import sketch
from initcheck.envelope.ways import apart
from initcheck.gate import reference, seeds, sketching, trainer
from initcheck.gate.sketching import PRODUCTS, following
from initcheck.gate.trainer import Laboratory
from initcheck.training import train as training
from initcheck.training.train import train, train_together
from tests.helpers import toy

SEEDS = seeds.reference()
STEPS = 12
RECIPE = Recipe(SGD(lr=0.1, momentum=0.9), batch=8, steps=STEPS)


class Growing(nn.Module):
    """Replaces a buffer by a longer one at each step, as one that keeps a history does."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(20, toy.CLASSES)
        self.register_buffer("history", torch.zeros(1))

    def forward(self, x):
        self.history = torch.cat([self.history, x.detach().mean()[None]])
        return self.layer(x.flatten(1))


NETWORKS = {
    "perceptron": toy.SMALL,
    "convolution": toy.sequential(
        partial(nn.Conv2d, 1, 3, 3, padding=1), partial(nn.BatchNorm2d, 3), nn.ReLU,
        nn.Flatten, partial(nn.Linear, 60, toy.CLASSES),
    ),
}  # fmt: skip
ARMS = {name: toy.default_arm(network, RECIPE) for name, network in NETWORKS.items()}
ARMS |= {
    "torch.func": toy.of_user(toy.Residual, RECIPE),
    "loops": toy.of_user(toy.Dropping, RECIPE),
}
EVERY = pytest.mark.parametrize("name", ARMS)


def watched(arm, drawn=SEEDS, chosen=SEEDS, **how):
    return train(arm, drawn, toy.data(), watch=following(chosen, arm.recipe.steps), **how)


@EVERY
@pytest.mark.parametrize("engine", ["ensemble", "module"])
def test_the_last_sketch_is_that_of_the_whole_way(name, engine):
    trained = watched(ARMS[name], engine=engine)
    end = trained.parameters | trained.buffers
    start = trained.start | trained.start_buffers
    names = {n for n, tensor in end.items() if tensor.is_floating_point()}
    assert {*trained.ways[0]} == names
    for each in names:
        expected = sketch(each, end[each], start[each], count=PRODUCTS)
        for way, whole in zip(trained.ways, expected, strict=True):
            assert way[each].shape == (len(steps_judged(STEPS)), PRODUCTS + 1)
            assert torch.allclose(way[each][-1], whole, rtol=1e-12, atol=0)


def test_running_statistics_are_followed_and_counters_are_not():
    ways = watched(ARMS["convolution"]).ways[0]
    assert "1.running_var" in ways
    assert "1.num_batches_tracked" not in ways


@EVERY
def test_both_engines_go_the_same_way(name):
    """Rounding alone moves a bias before batch normalization, by some 1e-7."""
    stacked, plain = watched(ARMS[name]), watched(ARMS[name], engine="module")
    for one, other in zip(stacked.ways, plain.ways, strict=True):
        for tensor, way in one.items():
            assert (apart(other[tensor], way) <= 1e-4 * way[:, -1] + 1e-6).all()
            assert way[0, -1] > 0 or "bias" in tensor


@pytest.mark.parametrize("chunk", [1, 5, 16])
@pytest.mark.parametrize("name", ["perceptron", "convolution"])
def test_four_of_sixteen_seeds_are_followed_in_any_chunk(monkeypatch, name, chunk):
    """A chunk may hold none of the seeds, or some of them between others."""
    monkeypatch.setattr(training, "MOST_REPLICAS", chunk)
    drawn = [*range(6), *SEEDS[:2], 6, *SEEDS[2:], *range(7, 12)]
    trained, alone = watched(ARMS[name], drawn), watched(ARMS[name])
    assert [way is not None for way in trained.ways] == [seed in SEEDS for seed in drawn]
    found = [way for way in trained.ways if way is not None]
    for one, other in zip(found, alone.ways, strict=True):
        for tensor, way in other.items():
            assert (apart(one[tensor], way) <= 1e-4 * way[:, -1] + 1e-6).all()


def test_arms_that_are_trained_together_keep_their_own_ways():
    arms = {toy.arm(recipe=RECIPE): SEEDS[:3], toy.default_arm(toy.SMALL, RECIPE): SEEDS}
    both = train_together(arms, toy.data(), watch=following(SEEDS, STEPS))
    for trained in both:
        alone = watched(trained.arm, trained.seeds)
        assert len(trained.ways) == len(trained.seeds)
        for one, other in zip(trained.ways, alone.ways, strict=True):
            for tensor, way in other.items():
                assert (apart(one[tensor], way) <= 1e-4 * way[:, -1] + 1e-6).all()


def test_large_tensors_are_sketched_at_once_and_small_ones_at_the_end(monkeypatch):
    later = watched(ARMS["convolution"])
    monkeypatch.setattr(sketching, "SMALL", 0)
    for one, other in zip(watched(ARMS["convolution"]).ways, later.ways, strict=True):
        for tensor, way in other.items():
            assert torch.allclose(one[tensor], way, rtol=1e-12, atol=0)


@pytest.mark.parametrize("engine", ["ensemble", "module"])
def test_nothing_is_followed_unless_requested(engine):
    assert train(ARMS["perceptron"], SEEDS, toy.data(), engine=engine).ways == ()
    still = toy.arm(recipe=Recipe(SGD(lr=0.1), batch=8, steps=0))
    assert watched(still, engine=engine).ways == (None,) * len(SEEDS)


def test_a_buffer_that_changes_its_shape_is_left_out():
    ways = watched(toy.of_user(Growing, RECIPE)).ways[0]
    assert {*ways} == {"layer.weight", "layer.bias"}


def test_a_twin_goes_from_the_start_that_was_disturbed():
    """In float64 its start is off by float32's rounding, which is no part of its way."""
    still = toy.arm(recipe=Recipe(SGD(lr=0.0), 8, 1, dtype="float64"))
    twins = watched(still, jitter=reference.twin_jitter(still))
    assert (twins.parameters["hidden1.weight"] != twins.start["hidden1.weight"]).any()
    assert all((way["hidden1.weight"] == 0).all() for way in twins.ways)


# --- in a laboratory


@pytest.fixture
def laboratory(monkeypatch):
    monkeypatch.setattr(trainer.datasets, "load", lambda name, **where: toy.data())
    return Laboratory()


def test_seeds_keep_their_ways_in_any_order_and_when_trained_later(laboratory):
    arm = toy.arm(recipe=Recipe(Adam(lr=0.01), 8, 6))
    alone = dict(zip(SEEDS, watched(arm).ways, strict=True))
    laboratory.trained(arm, (7, SEEDS[2]), "cpu")
    trained = laboratory.trained(arm, (SEEDS[3], 8, *SEEDS[:3]), "cpu")
    for seed, way in zip(trained.seeds, trained.ways, strict=True):
        assert (way is None) == (seed not in SEEDS)
        for tensor, sketches in (way or {}).items():
            assert (apart(sketches, alone[seed][tensor]) <= 1e-4).all()


def test_every_twin_is_followed(laboratory):
    arm = toy.arm(recipe=Recipe(Adam(lr=0.01), 8, 6))
    for twins in laboratory.twins(arm, SEEDS[:2]):
        assert len(twins.ways) == len(twins.seeds)
        assert None not in twins.ways
