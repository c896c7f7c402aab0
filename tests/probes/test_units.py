"""Probes of units agree with loops over units and entries."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn

from initcheck.networks import mlp
from initcheck.probes import rows_against_bias, unit_spread, units, weight_magnitude
from tests.helpers import toy
from tests.helpers.trained import trained_with

# The last weight matrix belongs to the output, whatever the layers are called.
NAMINGS = {
    "mlp": ("hidden1", "hidden2", "output"),
    "output begins as hidden layers do": ("fc1", "fc2", "fc"),
    "numbers": ("1", "3", "5"),
    "nested": ("body.0", "body.1", "head"),
    "one inside the other's name": ("head.0", "head.1", "head.2"),
}
naming = pytest.mark.parametrize("layers", NAMINGS.values(), ids=NAMINGS)


def drawn(layers, replicas=3, *, bias=True, seed=1):
    """Random parameters of a 5-4-6-3 network."""
    generator = torch.Generator().manual_seed(seed)
    widths = (5, 4, 6, 3)
    parameters = {}
    for name, inputs, outputs in zip(layers, widths, widths[1:], strict=False):
        parameters[f"{name}.weight"] = torch.randn(replicas, outputs, inputs, generator=generator)
        if bias:
            parameters[f"{name}.bias"] = torch.randn(replicas, outputs, generator=generator)
    return parameters


def owner(name):
    return name.removesuffix(".weight").removesuffix(".bias")


def arrays(parameters, r):
    return {name: p[r].double().numpy() for name, p in parameters.items()}


@naming
@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no biases"])
def test_unit_spread_is_the_largest_difference_of_two_hidden_units(layers, bias):
    parameters = drawn(layers, bias=bias)
    slow = []
    for r in range(3):
        hidden = [p for name, p in arrays(parameters, r).items() if owner(name) in layers[:2]]
        slow.append(max(np.abs(a - b).max() for p in hidden for a, b in combinations(p, 2)))
    assert unit_spread(trained_with(parameters)).tolist() == pytest.approx(slow, rel=1e-6)


@naming
def test_equal_hidden_units_have_no_spread_whatever_the_output_does(layers):
    parameters = drawn(layers)
    for layer in layers[:2]:
        parameters[f"{layer}.weight"][:] = parameters[f"{layer}.weight"][:, :1]
        parameters[f"{layer}.bias"][:] = 0.5
    assert unit_spread(trained_with(parameters)).tolist() == [0.0] * 3


@naming
@pytest.mark.parametrize("kind", ["weight", "bias"])
@pytest.mark.parametrize("layer", [0, 1])
def test_one_entry_of_one_hidden_unit_is_seen(layers, layer, kind):
    parameters = {name: torch.zeros_like(p) for name, p in drawn(layers).items()}
    parameters[f"{layers[layer]}.{kind}"][1, -1] -= 0.25
    assert unit_spread(trained_with(parameters)).tolist() == [0.0, 0.25, 0.0]
    assert weight_magnitude(trained_with(parameters)).tolist() == [0.0, 0.25, 0.0]


@naming
@pytest.mark.parametrize("bias", [True, False], ids=["biases", "no biases"])
def test_weight_magnitude_is_the_largest_entry_but_for_the_output_bias(layers, bias):
    parameters = drawn(layers, bias=bias)
    if bias:
        parameters[f"{layers[-1]}.bias"] += 100
    slow = [
        max(np.abs(p).max() for name, p in arrays(parameters, r).items()
            if name != f"{layers[-1]}.bias")
        for r in range(3)
    ]  # fmt: skip
    assert weight_magnitude(trained_with(parameters)).tolist() == pytest.approx(slow, rel=1e-6)


@pytest.mark.parametrize("probe", [unit_spread, weight_magnitude])
def test_nan_stays_nan(probe):
    parameters = drawn(NAMINGS["mlp"])
    parameters["hidden1.weight"][1, 0, 0] = torch.nan
    values = probe(trained_with(parameters))
    assert values.dtype == torch.float64
    assert values.isnan().tolist() == [False, True, False]


def test_a_network_of_one_layer_has_an_output():
    parameters = {"weight": torch.full((2, 3, 5), 0.5), "bias": torch.full((2, 3), 7.0)}
    assert weight_magnitude(trained_with(parameters)).tolist() == [0.5, 0.5]


# --- rows against their biases --------------------------------------------------------------------


def started(bias):
    """A layer of zero rows with these biases, and an equal copy of it."""
    before = {
        "hidden1.weight": torch.zeros(1, len(bias), 4),
        "hidden1.bias": torch.tensor([bias]),
    }
    return before, {name: p.clone() for name, p in before.items()}


def slow_rows(before, after, r):
    wrong = 0
    for row in range(before["hidden1.bias"].shape[1]):
        bias, now = float(before["hidden1.bias"][r, row]), float(after["hidden1.bias"][r, row])
        pairs = zip(
            before["hidden1.weight"][r, row].tolist(), after["hidden1.weight"][r, row].tolist(),
            strict=True,
        )  # fmt: skip
        moved = any(a != b for a, b in pairs)
        wrong += (moved or bias != now) if bias < 0 else not moved
    return float(wrong)


ROWS = {  # initial bias, what is added to one weight and to the bias, rows that count
    "negative, still": (-0.1, 0.0, 0.0, 0.0),
    "negative, weights moved": (-0.1, 1e-30, 0.0, 1.0),
    "negative, bias moved": (-0.1, 0.0, 0.01, 1.0),
    "positive, moved": (0.1, 1e-30, 0.0, 0.0),
    "positive, still": (0.1, 0.0, 0.0, 1.0),
    "positive, only its bias moved": (0.1, 0.0, 0.01, 1.0),
    "no bias, still": (0.0, 0.0, 0.0, 1.0),
    "no bias, moved": (0.0, -1e-3, 0.0, 0.0),
    "negative, NaN": (-0.1, float("nan"), 0.0, 1.0),
}


@pytest.mark.parametrize(("bias", "weight_by", "bias_by", "count"), ROWS.values(), ids=ROWS)
def test_one_row_counts_when_it_goes_against_its_bias(bias, weight_by, bias_by, count):
    before, after = started([bias])
    after["hidden1.weight"][0, 0, 2] += weight_by
    after["hidden1.bias"][0, 0] += bias_by
    counts = rows_against_bias(trained_with(after, start=before), "hidden1")
    assert counts.tolist() == [count]
    assert slow_rows(before, after, 0) == count


def test_many_rows_are_counted_as_a_loop_does():
    generator = torch.Generator().manual_seed(1)
    before = {
        "hidden1.weight": torch.zeros(3, 40, 4),
        "hidden1.bias": torch.rand(3, 40, generator=generator) - 0.5,
    }
    chosen = torch.rand(3, 40, generator=generator) < 0.5
    after = {
        "hidden1.weight": before["hidden1.weight"] + chosen[..., None],
        "hidden1.bias": before["hidden1.bias"].clone(),
    }
    slow = [slow_rows(before, after, r) for r in range(3)]
    assert rows_against_bias(trained_with(after, start=before), "hidden1").tolist() == slow
    assert 0 < min(slow) <= max(slow) < 40


# --- zero weights and movement, on parameters written by hand -------------------------------------

WEIGHT = torch.tensor([[[0.0, 0.0], [1.0, 2.0], [1.0, 2.0]], [[0.0, 0.0], [0.0, 1.0], [3.0, 0.5]]])
BIAS = torch.tensor([[-1.0, 1.0, 1.0], [-1.0, -1.0, 1.0]])
OUTPUT = torch.ones(2, 4, 3)


def by_hand(**start):
    after = {"hidden1.weight": WEIGHT, "hidden1.bias": BIAS, "output.weight": OUTPUT}
    return trained_with(after, start={**after, **start})


def test_a_row_is_dead_where_all_its_weights_are_zero():
    assert units.dead_rows(by_hand(), "hidden1").tolist() == [1, 1]


def test_weight_spread_leaves_biases_out():
    equal = trained_with({"hidden1.weight": torch.ones(2, 3, 2), "hidden1.bias": BIAS})
    assert units.weight_spread(equal, "hidden1").tolist() == [0, 0]
    assert units.weight_spread(by_hand(), "hidden1").tolist() == [2, 3]


def test_a_tensor_has_moved_if_one_of_its_entries_has():
    before = WEIGHT.clone()
    before[1, 0, 0] = 0.5
    assert units.unmoved_tensors(by_hand(**{"hidden1.weight": before})).tolist() == [3, 2]


def test_movement_leaves_the_output_bias_out_unless_it_is_named():
    after = {"output.weight": OUTPUT, "output.bias": torch.ones(2, 4)}
    moved = trained_with(after, start=after | {"output.bias": torch.zeros(2, 4)})
    assert units.movement(moved).tolist() == [0, 0]
    assert units.movement(moved, names=("output.bias",)).tolist() == [1, 1]


def zeroed(weight):
    """The error for two units, one with a negative bias; every pixel of the toy data is lit."""
    start = {"hidden1.weight": weight, "hidden1.bias": torch.tensor([[-1.0, 1.0]])}
    trained = trained_with(start, arm=toy.arm(mlp(20, 2, toy.CLASSES)))
    return units.zero_atom_error(trained, "hidden1").tolist()


def test_the_atom_counts_pixels_as_the_layer_sees_them():
    """After a pooling layer there are fewer than in the image."""
    network = toy.sequential(lambda: nn.AvgPool2d(2), nn.Flatten, lambda: nn.Linear(4, 2))
    weight = torch.tensor([[[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]]])
    start = {"2.weight": weight, "2.bias": torch.tensor([[-1.0, 1.0]])}
    trained = trained_with(start, arm=toy.arm(network))
    assert units.zero_atom_error(trained, "2").tolist() == [5 / 8 - 1 / 2]


def test_the_atom_is_the_share_of_negative_biases():
    half = torch.stack([torch.zeros(20), torch.ones(20)])[None]
    assert zeroed(half) == [0]
    assert zeroed(torch.ones(1, 2, 20)) == [0.5]
