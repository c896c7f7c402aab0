"""Rows: which units are dead, which are alike, and the zeros they leave in histograms."""

from __future__ import annotations

import torch
from torch import Tensor

from initcheck.probes.probe import largest
from initcheck.probes.signals import entering
from initcheck.training.train import Trained

OFTEN_LIT = 0.25  # of the images: enough for every live row to meet the pixel while it is active


def dead_rows(trained: Trained, layer: str) -> Tensor:
    """How many units of a layer have only bit-zero incoming weights."""
    weight = trained.parameters[f"{layer}.weight"].flatten(2)  # (R, O, I)
    return (weight == 0).all(-1).sum(1).double().cpu()


def weight_spread(trained: Trained, layer: str) -> Tensor:
    """Largest difference between two units of a layer in one incoming weight, biases left out."""
    weight = trained.parameters[f"{layer}.weight"]
    return largest(weight.amax(1) - weight.amin(1))


def zero_atom_error(trained: Trained, layer: str) -> Tensor:
    """Share of exact zeros among a first layer's weights, less the share of negative biases.

    Absolute; over the layer's inputs that at least a quarter of the training images light. One that
    is always dark leaves its weights where they started, whatever the row.
    """
    images = trained.data.train_inputs
    pixels = next(entering(trained, layer, images, at_start=True))  # alike for all seeds
    lit = (pixels > 0).double().mean(0) >= OFTEN_LIT
    weight = trained.parameters[f"{layer}.weight"][:, :, lit]
    zeros = (weight == 0).double().mean((1, 2)).cpu()
    negative = (trained.start[f"{layer}.bias"] < 0).double().mean(1)
    return (zeros - negative).abs()


def unmoved_tensors(trained: Trained) -> Tensor:
    """How many parameters are, after training, bit by bit what they were at the start."""
    same = [_same(trained, name) for name in trained.start]
    return torch.stack(same).sum(0).double()


def _same(trained: Trained, name: str) -> Tensor:
    equal = trained.parameters[name].cpu() == trained.start[name]
    return equal.flatten(1).all(1)


def movement(trained: Trained, names: tuple[str, ...] = ()) -> Tensor:
    """Largest change of these parameters, or of any but the output bias."""
    watched = names or [name for name in trained.start if name != output_bias(trained)]
    moved = [trained.parameters[name].cpu() - trained.start[name] for name in watched]
    return torch.stack([largest(change.abs()) for change in moved]).amax(0)


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
