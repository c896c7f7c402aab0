"""Units of a layer: whether their weights are zero, equal to each other, or moved since the start.

A unit is a row of a layer's weight. Each probe returns ``(R,)`` float64 on the CPU, one value per
seed.
"""

from __future__ import annotations

import torch
from torch import Tensor

from initcheck.probes.probe import largest
from initcheck.probes.signals import entering
from initcheck.training.train import Trained

# --- zero weights ---------------------------------------------------------------------------------

OFTEN_LIT = 0.25  # share of the images: every active unit then meets the pixel while it is active


def weight_magnitude(trained: Trained) -> Tensor:
    """Largest absolute value among all parameters except the output bias."""
    watched = [p for name, p in trained.parameters.items() if name != output_bias(trained)]
    return torch.stack([largest(p.abs()) for p in watched]).amax(0)


def dead_rows(trained: Trained, layer: str) -> Tensor:
    """Number of units of a layer whose incoming weights are all exactly zero."""
    weight = trained.parameters[f"{layer}.weight"].flatten(2)  # (R, O, I)
    return (weight == 0).all(-1).sum(1).double().cpu()


def zero_atom_error(trained: Trained, layer: str) -> Tensor:
    """Absolute difference of two shares in a first layer: exact zeros, and negative start biases.

    Zeros are counted over the inputs that are above 0 in at least a quarter of the training
    images. An input that is always 0 leaves its weights at their start, whatever the unit's bias.
    """
    images = trained.data.train_inputs
    pixels = next(entering(trained, layer, images, at_start=True))  # the same for all seeds
    lit = (pixels > 0).double().mean(0) >= OFTEN_LIT
    weight = trained.parameters[f"{layer}.weight"][:, :, lit]
    zeros = (weight == 0).double().mean((1, 2)).cpu()
    negative = (trained.start[f"{layer}.bias"] < 0).double().mean(1)
    return (zeros - negative).abs()


# --- equal units ----------------------------------------------------------------------------------


def unit_spread(trained: Trained) -> Tensor:
    """Largest difference between two hidden units of one layer, in an incoming weight or bias."""
    last = output_layer(trained)
    hidden = [p for name, p in trained.parameters.items() if name.rpartition(".")[0] != last]
    return torch.stack([largest(p.amax(1) - p.amin(1)) for p in hidden]).amax(0)


def weight_spread(trained: Trained, layer: str) -> Tensor:
    """Largest difference between two units of a layer in one incoming weight, without biases."""
    weight = trained.parameters[f"{layer}.weight"]
    return largest(weight.amax(1) - weight.amin(1))


# --- moved parameters -----------------------------------------------------------------------------


def movement(trained: Trained, names: tuple[str, ...] = ()) -> Tensor:
    """Largest change since the start, of these parameters or of all except the output bias."""
    watched = names or [name for name in trained.start if name != output_bias(trained)]
    moved = [trained.parameters[name].cpu() - trained.start[name] for name in watched]
    return torch.stack([largest(change.abs()) for change in moved]).amax(0)


def unmoved_tensors(trained: Trained) -> Tensor:
    """Number of parameters that are bit-identical to their start after training."""
    same = [_same(trained, name) for name in trained.start]
    return torch.stack(same).sum(0).double()


def _same(trained: Trained, name: str) -> Tensor:
    equal = trained.parameters[name].cpu() == trained.start[name]
    return equal.flatten(1).all(1)


def rows_against_bias(trained: Trained, layer: str) -> Tensor:
    """Number of units of a ReLU layer that contradict the sign of their initial bias.

    Of units that start with zero weights, those with a negative bias must keep weights and bias
    bit-identical, and the others must move. Units with nonzero weights and a negative bias move
    too, and are counted.
    """
    before = {
        what: trained.start[f"{layer}.{what}"].to(trained.device) for what in ("weight", "bias")
    }
    after = {what: trained.parameters[f"{layer}.{what}"] for what in before}
    moved = (after["weight"] != before["weight"]).flatten(2).any(-1)  # (R, H)
    touched = moved | (after["bias"] != before["bias"])
    wrong = torch.where(before["bias"] < 0, touched, ~moved)
    return wrong.sum(1).double().cpu()


# --- the output layer -----------------------------------------------------------------------------


def output_layer(trained: Trained) -> str:
    """The name of the layer that holds the last weight matrix."""
    weights = [name for name, p in trained.parameters.items() if p.dim() > 2]  # (R, O, I, ...)
    return weights[-1].rpartition(".")[0]


def output_bias(trained: Trained) -> str:
    """The name of the output bias, the only parameter that an all-zero network trains."""
    return f"{output_layer(trained)}.bias".removeprefix(".")
