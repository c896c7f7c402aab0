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


def test_library_figures_are_of_every_epoch():
    found = LIBRARY.run(images(), 1, silent)
    assert list(found.curve("test_loss")) == [0, 1, 2]
    assert list(found.curve("train_loss")) == [1, 2]
    assert found.curve("train_loss")[2] < found.curve("train_loss")[1]


def test_library_holds_out_the_end_of_what_it_uses():
    data = images()
    used = replace(LIBRARY, images=40, held_out=10)._used(data)
    assert torch.equal(used.train_inputs, data.train_inputs[:30])
    assert torch.equal(used.test_inputs, data.train_inputs[30:40])


def test_library_scales_test_images_only():
    data = images()
    used = replace(LIBRARY, test_scale=255.0)._used(data)
    assert torch.equal(used.test_inputs, data.test_inputs * 255)
    assert torch.equal(used.train_inputs, data.train_inputs)


def test_library_ranks_residuals_and_shows_entries():
    wanted = replace(
        LIBRARY, network=mlp(784, 20, 20, 10), rank_of="hidden2.weight", entries_of="hidden2.weight"
    )
    found = wanted.run(images(), 1, silent)
    assert 0 < found.curve("largest_rank_minus_start")[2] <= 20
    assert "entry[0,-1]" in found.curves


def test_library_counts_layers_that_moved():
    waking = replace(LIBRARY, initializer=zeros, optimizer=SGD(lr=0.1), steps=3)
    found = waking.run(images(), 1, silent)
    assert found.curve("layers_moved") == {1: 0, 2: 0, 3: 0}  # no bias, no wave
    found = replace(waking, initializer=torch_default).run(images(), 1, silent)
    assert found.curve("layers_moved") == {1: 2, 2: 2, 3: 2}
