"""Rows: which units are dead, which are alike, and the zeros they leave in histograms."""

from __future__ import annotations

import torch
from torch import Tensor

from initcheck.probes.common import largest
from initcheck.probes.signals import entering
from initcheck.probes.symmetry import output_bias, output_layer
from initcheck.training import Trained

OFTEN_LIT = 0.25  # of the images: enough for every live row to meet the pixel while it is active


def dead_rows(trained: Trained, layer: str) -> Tensor:
    """How many units of a layer have only bit-zero incoming weights."""
    weight = trained.parameters[f"{layer}.weight"].flatten(2)  # (R, O, I)
    return (weight == 0).all(-1).sum(1).double().cpu()


def distinct_rows(trained: Trained, layer: str) -> Tensor:
    """How many different rows a layer's weight has, bit by bit."""
    weights = trained.parameters[f"{layer}.weight"].flatten(2).cpu()
    return torch.tensor([len(w.unique(dim=0)) for w in weights], dtype=torch.float64)


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


def output_movement(trained: Trained) -> Tensor:
    """Largest change of a weight of the last layer."""
    name = f"{output_layer(trained)}.weight"
    return largest((trained.parameters[name].cpu() - trained.start[name]).abs())
