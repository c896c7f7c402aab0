"""Twins differ by rounding, differently in each chunk, and always in the same way."""

from __future__ import annotations

import pytest
import torch

from initcheck.arms import SGD, Recipe
from initcheck.gate.reference import twin_jitter
from initcheck.training.train import train
from tests.helpers import toy

EPS = torch.finfo(torch.float32).eps


def test_twins_disturb_parameters_and_shares_by_one_epsilon():
    parameter, shares = torch.ones(50_000), torch.ones(50_000)
    rounding = twin_jitter(toy.arm())(0)
    rounding.parameters([parameter])
    for disturbed in (parameter, rounding.shares(shares)):
        in_epsilons = (disturbed.double() - 1) / EPS
        assert abs(in_epsilons.mean()) < 0.1
        assert 0.9 < in_epsilons.std() < 1.2  # rounded to half or whole epsilons
    assert (shares == 1).all()  # they are used again at the next step


@pytest.mark.parametrize("shape", [(), (1,), (64,), (65,), (7, 30)], ids=str)
def test_twins_disturb_every_entry_however_small_the_pool(monkeypatch, shape):
    monkeypatch.setattr("initcheck.envelope.twins.POOL", 64)
    arm = toy.arm(recipe=Recipe(SGD(lr=0.1), 8, 4, dtype="float64"))
    parameter = torch.ones(shape, dtype=torch.float64)
    disturb = twin_jitter(arm)(0).parameters
    touched = torch.zeros(shape, dtype=torch.bool)
    for _ in range(30):  # a single draw may round to nothing
        before = parameter.clone()
        disturb([parameter])
        touched |= parameter != before
    assert touched.all()
    assert ((parameter - 1).abs() < 1e-13).all()


def test_a_start_drawn_in_float32_is_off_by_the_rounding_of_float32_in_float64():
    rounding = twin_jitter(toy.arm(recipe=Recipe(SGD(lr=0.1), 8, 4, dtype="float64")))(0)
    parameter = torch.full((50_000,), 0.3, dtype=torch.float64)
    exact = torch.tensor([0.0, 1.0, -1.0, 2.0**-7, -(2.0**9)], dtype=torch.float64)
    parameter[:5] = exact
    rounding.parameters([parameter])
    in_epsilons = (parameter[5:] / 0.3 - 1) / EPS
    assert 0.98 < in_epsilons.std() < 1.02
    assert torch.allclose(parameter[:5], exact, rtol=1e-14, atol=0)
    before = parameter.clone()
    rounding.parameters([parameter])
    assert torch.allclose(parameter, before, rtol=1e-14, atol=0)


@pytest.mark.parametrize("engine", ["ensemble", "module"])
def test_every_start_in_float64_is_off_whatever_its_steps(engine):
    still = toy.arm(recipe=Recipe(SGD(lr=0.0), 8, 2, dtype="float64"))
    twins = train(still, (3, 3, 5), toy.data(), engine=engine, jitter=twin_jitter(still))
    start, end = (p["hidden1.weight"] for p in (twins.start, twins.parameters))
    for off in end / start - 1:
        assert 0.5 < off.std() / EPS < 2
    assert not torch.equal(end[0], end[1])


def test_chunks_are_disturbed_differently_and_always_in_the_same_way():
    def ones(first):
        parameter = torch.ones(100)
        twin_jitter(toy.arm())(first).parameters([parameter])
        return parameter

    assert torch.equal(ones(0), ones(0))
    assert not torch.equal(ones(0), ones(8))


@pytest.mark.parametrize("what", ["parameters", "shares"])
def test_a_pool_is_moved_to_the_device_of_what_it_disturbs(what):
    rounding = twin_jitter(toy.arm())(0)
    disturbed = torch.ones(100, device="meta")
    getattr(rounding, what)([disturbed] if what == "parameters" else disturbed)
    assert rounding.pool.device == disturbed.device
