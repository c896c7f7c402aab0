"""Probes of answers."""

import math

import pytest
import torch

from initcheck import SGD, Recipe
from initcheck.initializers import torch_default, zeros
from initcheck.probes import outcomes
from initcheck.training.train import train
from tests.helpers import toy
from tests.helpers.trained import trained_with

NOTHING = {"w": torch.zeros(2, 1, 1)}


def test_an_all_zero_network_answers_every_image_alike():
    alike = train(toy.arm(initializer=zeros), [1, 2], toy.data())
    assert outcomes.few_logit_spread(alike).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert outcomes.loss_off_chance(alike).tolist() == pytest.approx([0, 0], abs=1e-6)
    other = train(toy.arm(initializer=torch_default), [1, 2], toy.data())
    assert outcomes.few_logit_spread(other).min() > 0.01
    assert outcomes.loss_off_chance(other).min() > 1e-4


def test_chance_is_the_logarithm_of_the_number_of_classes():
    losses = torch.tensor([[math.log(toy.CLASSES) - 0.5, 9.0]], dtype=torch.float64)
    one = trained_with({"w": torch.zeros(1, 1, 1)}, losses=losses)
    assert outcomes.loss_off_chance(one).item() == pytest.approx(0.5)


def test_guessing_by_the_labels_shares_costs_their_entropy():
    data = toy.data()
    labels = torch.bincount(data.train_targets).double() / len(data.train_targets)
    entropy = -float((labels * labels.log()).sum())
    start = train(toy.arm(recipe=Recipe(SGD(lr=0.1), 8, 0), initializer=zeros), [1, 2], data)
    even = math.log(toy.CLASSES) - entropy  # every class alike
    assert even > 1e-3
    assert outcomes.loss_off_entropy(start).tolist() == pytest.approx([even] * 2)
    start.parameters["output.bias"] = labels.log().float().expand(2, -1)

    assert outcomes.loss_off_entropy(start).tolist() == pytest.approx([0] * 2, abs=1e-6)


def test_loss_movement_is_relative_to_the_first_loss():
    losses = torch.tensor([[2.0, 2.0, 2.0], [2.0, 3.0, 1.5]], dtype=torch.float64)
    assert outcomes.loss_movement(trained_with(NOTHING, losses=losses)).tolist() == [0, 0.5]
