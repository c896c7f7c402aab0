"""Twins: replicas that differ from their reference by rounding, and one in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from initcheck import datasets
from initcheck.arms import Adam, Recipe
from initcheck.envelope.twins import TWINS
from initcheck.gate import trainer
from initcheck.gate.trainer import Laboratory
from initcheck.networks import Network
from tests.helpers import toy

RECIPE = Recipe(Adam(lr=0.01), batch=8, steps=6, keep_at=(3,), keep=("hidden1.weight",))
ARM = toy.arm(recipe=RECIPE)


@pytest.fixture(autouse=True)
def toy_data(monkeypatch):
    """The toy data in place of any other."""
    monkeypatch.setattr(datasets, "load", lambda name, **where: toy.data())


def test_twins_repeat_each_seed_and_part_by_rounding():
    twins, precise = Laboratory().twins(ARM, (3, 5))
    assert twins.seeds == (3, 5) * TWINS
    assert precise.seeds == (3, 5)
    for seed in (0, 1):  # by its place
        starts, ends = (
            {tuple(weight.flatten().tolist()) for weight in weights["hidden1.weight"][seed::2]}
            for weights in (twins.start, twins.parameters)
        )
        assert (len(starts), len(ends)) == (1, TWINS)
        losses = twins.losses[seed::2]
        assert (losses / losses[0] - 1).abs().max() < 1e-5
        assert losses[:, 0].unique().numel() > 1  # the first forward pass is already off


def test_the_precise_twin_starts_alike_and_computes_in_float64():
    here = Laboratory()
    _, precise = here.twins(ARM, (3, 5))
    reference = here.trained(ARM, (3, 5), "cpu")
    for name, start in reference.start.items():
        assert torch.equal(precise.start[name], start.double())
    assert precise.parameters["hidden1.weight"].dtype == torch.float64
    apart = (precise.losses / reference.losses - 1).abs()
    assert 0 < apart.max() < 1e-5


def test_dropout_and_float64_have_no_more_precise_twin():
    bare = replace(RECIPE, keep_at=(), keep=())
    drops = toy.arm(Network("dropping", toy.Dropping), bare)
    precise = toy.arm(recipe=replace(RECIPE, dtype="float64"))
    for arm in (drops, precise):
        assert [len(twins.seeds) for twins in Laboratory().twins(arm, (3, 5))] == [2 * TWINS]


class Scaled(toy.Residual):
    """Multiplies by a tensor that is no part of its state, and so stays in float32."""

    def __init__(self):
        super().__init__()
        self.scale = torch.eye(20)

    def forward(self, x):
        return super().forward(x.flatten(1) @ self.scale)


def test_a_network_that_cannot_compute_in_float64_has_no_more_precise_twin():
    arm = toy.default_arm(Network("scaled", Scaled), replace(RECIPE, keep_at=(), keep=()))
    assert [len(twins.seeds) for twins in Laboratory().twins(arm, (3, 5))] == [2 * TWINS]


@pytest.mark.parametrize("engine", ["ensemble", "module"])
def test_twins_are_trained_by_the_engine_of_their_reference(engine):
    found = Laboratory(engine=engine).twins(ARM, (3, 5))
    assert [twins.engine for twins in found] == [engine, engine]


def test_twins_are_trained_where_their_reference_is(monkeypatch):
    """Twins on the CPU around a curve of a GPU would make its distance part of the envelope."""
    asked = []
    monkeypatch.setattr(
        trainer, "train", lambda arm, seeds, data, **how: asked.append((arm.recipe.dtype, how))
    )
    monkeypatch.setattr(trainer.devices, "has_float64", lambda name: name != "mps")
    for device in ("cuda", "mps"):
        Laboratory().twins(ARM, (3, 5), device)
    found = [(dtype, how["device"]) for dtype, how in asked]
    assert found == [("float32", "cuda"), ("float64", "cuda"), ("float32", "mps")]
