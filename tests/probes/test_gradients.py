"""Probes of gradients: the wave, seen and missed, and the directions of a step."""

import torch

from initcheck.arms import SGD, Recipe
from initcheck.initializers import every, randn_, torch_default, zeros_
from initcheck.notebooks.arms import parameters_of
from initcheck.probes.gradients import second_direction, wave_errors
from initcheck.training.train import train
from tests.helpers import toy
from tests.helpers.trained import trained_with

LAYERS = parameters_of("hidden1", "hidden2", "output")
WATCHED = Recipe(SGD(lr=0.1), batch=8, steps=4, keep_at=(1, 2, 3, 4), keep=LAYERS)
WAVE = every(zeros_, randn_)


def errors(initializer, recipe=WATCHED):
    arm = toy.arm(recipe=recipe, initializer=initializer)
    return wave_errors(train(arm, [1, 2], toy.data())).tolist()


def test_a_wave_has_no_errors():
    assert errors(WAVE) == [0, 0]


def test_layers_that_are_awake_at_once_are_counted_in_both_their_sins():
    # Asleep should be 4 tensors at step 1 and 2 at step 2; each has a gradient, and each moves.
    assert errors(torch_default) == [12, 12]


def test_a_wave_that_never_starts_is_counted():
    # Only the output bias has a gradient; due are 2, 4, 6 and 6 tensors.
    assert errors(every(zeros_, zeros_)) == [14, 14]


def test_a_layer_that_moves_without_a_gradient_is_counted():
    decaying = Recipe(SGD(lr=0.1, weight_decay=0.1), 8, 4, (1, 2, 3, 4), LAYERS)
    assert errors(WAVE, decaying) == [3, 3]  # two sleeping biases at step 1, one at step 2


def test_second_direction_is_of_what_was_added():
    outer = torch.outer(torch.arange(1.0, 4), torch.arange(1.0, 3))[None]
    start = {"w": torch.randn(1, 3, 2, generator=torch.Generator().manual_seed(0))}
    one = trained_with({"w": start["w"] + outer}, start=start)
    assert second_direction(one, "w").item() < 1e-6
    two = trained_with({"w": start["w"] + torch.eye(3, 2)}, start=start)
    assert abs(second_direction(two, "w").item() - 1) < 1e-6
