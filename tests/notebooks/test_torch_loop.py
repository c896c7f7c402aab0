"""The notebooks' protocols in initcheck's own loop."""

from __future__ import annotations

from dataclasses import replace

import torch

from initcheck.arms import SGD, Adam
from initcheck.initializers import torch_default, zeros
from initcheck.networks import mlp
from initcheck.notebooks.torch_loop import Library
from tests.helpers.notebooks import images, silent

LIBRARY = Library(mlp(784, 8, 10), torch_default, Adam(lr=1e-2), batch=10, epochs=2)


def test_run_has_figures_of_every_epoch():
    figures = LIBRARY.run(images(), 1, silent)
    assert list(figures.curve("test_loss")) == [0, 1, 2]
    assert list(figures.curve("train_loss")) == [1, 2]
    assert figures.curve("train_loss")[2] < figures.curve("train_loss")[1]


def test_held_out_images_are_the_last_of_those_used():
    data = images()
    used = replace(LIBRARY, images=40, held_out=10)._used(data)
    assert torch.equal(used.train_inputs, data.train_inputs[:30])
    assert torch.equal(used.test_inputs, data.train_inputs[30:40])


def test_only_test_images_are_scaled():
    data = images()
    used = replace(LIBRARY, test_scale=255.0)._used(data)
    assert torch.equal(used.test_inputs, data.test_inputs * 255)
    assert torch.equal(used.train_inputs, data.train_inputs)


def test_ranks_of_residuals_and_entries_are_measured():
    library = replace(
        LIBRARY, network=mlp(784, 20, 20, 10), rank_of="hidden2.weight", entries_of="hidden2.weight"
    )
    figures = library.run(images(), 1, silent)
    assert 0 < figures.curve("largest_rank_minus_start")[2] <= 20
    assert "entry[0,-1]" in figures.curves


def test_layers_that_moved_are_counted():
    zero_start = replace(LIBRARY, initializer=zeros, optimizer=SGD(lr=0.1), steps=3)
    figures = zero_start.run(images(), 1, silent)
    assert figures.curve("layers_moved") == {
        1: 0,
        2: 0,
        3: 0,
    }  # only the last biases have a gradient
    figures = replace(zero_start, initializer=torch_default).run(images(), 1, silent)
    assert figures.curve("layers_moved") == {1: 2, 2: 2, 3: 2}
