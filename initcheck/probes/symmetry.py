"""Symmetry: which weights are zero, which units alike, which rows moved."""

from __future__ import annotations

import torch
from torch import Tensor

from initcheck.probes.common import largest
from initcheck.training import Trained


def weight_magnitude(trained: Trained) -> Tensor:
    """Largest absolute value among all weights and hidden biases."""
    watched = [p for name, p in trained.parameters.items() if name != output_bias(trained)]
    return torch.stack([largest(p.abs()) for p in watched]).amax(0)


def unit_spread(trained: Trained) -> Tensor:
    """Largest difference between two hidden units of one layer, in incoming weights and bias."""
    last = output_layer(trained)
    hidden = [p for name, p in trained.parameters.items() if name.rpartition(".")[0] != last]
    return torch.stack([largest(p.amax(1) - p.amin(1)) for p in hidden]).amax(0)


def output_layer(trained: Trained) -> str:
    """The name of the layer that holds the last weight matrix."""
    weights = [name for name, p in trained.parameters.items() if p.dim() > 2]  # (R, O, I, ...)
    return weights[-1].rpartition(".")[0]


def output_bias(trained: Trained) -> str:
    """The one parameter that an all-zero network does train."""
    return f"{output_layer(trained)}.bias".removeprefix(".")


def rows_against_bias(trained: Trained, layer: str) -> Tensor:
    """How many rows of a ReLU layer did not do as the sign of their initial bias says.

    With a negative bias a row is to stay bit-unchanged, weights and bias, and else to move. So it
    is where a row starts at zero; of rows that do not, those with a negative bias move as well, and
    count as wrong.
    """
    before = {
        what: trained.start[f"{layer}.{what}"].to(trained.device) for what in ("weight", "bias")
    }
    after = {what: trained.parameters[f"{layer}.{what}"] for what in before}
    moved = (after["weight"] != before["weight"]).flatten(2).any(-1)  # (R, H)
    touched = moved | (after["bias"] != before["bias"])
    wrong = torch.where(before["bias"] < 0, touched, ~moved)
    return wrong.sum(1).double().cpu()
