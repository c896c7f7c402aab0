"""Probes of rows, on parameters written by hand."""

import torch
from torch import nn

from initcheck.networks import mlp
from initcheck.probes import units
from tests.helpers import toy
from tests.helpers.trained import trained_with

WEIGHT = torch.tensor([[[0.0, 0.0], [1.0, 2.0], [1.0, 2.0]], [[0.0, 0.0], [0.0, 1.0], [3.0, 0.5]]])
BIAS = torch.tensor([[-1.0, 1.0, 1.0], [-1.0, -1.0, 1.0]])
OUTPUT = torch.ones(2, 4, 3)


def trained(**start):
    after = {"hidden1.weight": WEIGHT, "hidden1.bias": BIAS, "output.weight": OUTPUT}
    return trained_with(after, start={**after, **start})


def test_a_row_is_dead_where_all_its_weights_are_zero():
    assert units.dead_rows(trained(), "hidden1").tolist() == [1, 1]


def test_weight_spread_leaves_biases_out():
    alike = trained_with({"hidden1.weight": torch.ones(2, 3, 2), "hidden1.bias": BIAS})
    assert units.weight_spread(alike, "hidden1").tolist() == [0, 0]
    assert units.weight_spread(trained(), "hidden1").tolist() == [2, 3]


def test_a_tensor_has_moved_if_one_of_its_entries_has():
    before = WEIGHT.clone()
    before[1, 0, 0] = 0.5
    assert units.unmoved_tensors(trained(**{"hidden1.weight": before})).tolist() == [3, 2]


def test_movement_leaves_the_output_bias_out_unless_it_is_named():
    after = {"output.weight": OUTPUT, "output.bias": torch.ones(2, 4)}
    moved = trained_with(after, start=after | {"output.bias": torch.zeros(2, 4)})
    assert units.movement(moved).tolist() == [0, 0]
    assert units.movement(moved, names=("output.bias",)).tolist() == [1, 1]


def zeroed(weight):
    """Two units on the toy data, one with a negative bias; every pixel is lit in every image."""
    start = {"hidden1.weight": weight, "hidden1.bias": torch.tensor([[-1.0, 1.0]])}
    trained = trained_with(start, arm=toy.arm(mlp(20, 2, toy.CLASSES)))
    return units.zero_atom_error(trained, "hidden1").tolist()


def test_the_atom_counts_pixels_as_the_layer_sees_them():
    """Behind a pooling layer these are fewer than the image's."""
    network = toy.sequential(lambda: nn.AvgPool2d(2), nn.Flatten, lambda: nn.Linear(4, 2))
    weight = torch.tensor([[[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]]])
    start = {"2.weight": weight, "2.bias": torch.tensor([[-1.0, 1.0]])}
    trained = trained_with(start, arm=toy.arm(network))
    assert units.zero_atom_error(trained, "2").tolist() == [5 / 8 - 1 / 2]


def test_the_atom_is_the_share_of_negative_biases():
    half = torch.stack([torch.zeros(20), torch.ones(20)])[None]
    assert zeroed(half) == [0]
    assert zeroed(torch.ones(1, 2, 20)) == [0.5]
