"""Probes of arithmetic see what is wrong, also where it is zero or no number at all."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from initcheck import SGD, Adam, Arm, Network, Recipe
from initcheck.faults import FAULTS
from initcheck.initializers import lecun
from initcheck.probes.optimizers import (
    first_step_error,
    gradient_error,
    split_optimizer_gap,
)
from initcheck.training.train import train
from tests.helpers import toy


def tanh_with(factor):
    """Tanh whose derivative is ``factor`` times what it should be."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return torch.tanh(x)

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * (1 - torch.tanh(x) ** 2) * factor

    class Layer(nn.Module):
        def forward(self, x):
            return Wrong.apply(x)

    return Layer


def error_of(activation):
    def build():
        return nn.Sequential(
            nn.Flatten(), nn.Linear(20, 8), activation(), nn.Linear(8, 8), nn.Tanh(),
            nn.Linear(8, toy.CLASSES),
        )  # fmt: skip

    recipe = Recipe(SGD(lr=0.1), batch=8, steps=0, dtype="float64")
    arm = Arm(Network("with that activation", build), lecun, recipe)
    return gradient_error(train(arm, (1, 2), toy.data())).tolist()


def test_right_derivatives_agree_with_differences():
    assert max(error_of(tanh_with(1.0))) < 1e-6


@pytest.mark.parametrize("factor", [0.0, 0.9, -1.0])
def test_wrong_derivative_is_seen(factor):
    assert min(error_of(tanh_with(factor))) > 0.01


def test_derivative_that_is_no_number_is_no_number():
    assert all(map(math.isnan, error_of(tanh_with(math.nan))))


@pytest.mark.parametrize("engine", ["ensemble", "module"])
def test_counter_shared_by_all_tensors_is_seen_whatever_the_engine(engine):
    def found():
        steps = [Arm(toy.SMALL, lecun, Recipe(Adam(lr=1e-3), 8, n)) for n in (20, 1)]
        many, one = (train(arm, (1, 2), toy.data(), engine=engine) for arm in steps)
        return [split_optimizer_gap(many).max(), first_step_error(one, "output").max()]

    gap, error = found()
    assert (gap < 1e-5, error < 1e-3) == (True, True)
    with FAULTS["adam_counts_every_tensor"].apply():
        gap, error = found()
    assert (gap > 1e-3, error > 0.1) == (True, True)
