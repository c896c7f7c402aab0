"""Copies: how far apart equal parts of a tensor are, and the rank that they leave a weight."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from initcheck.probes.probe import largest
from initcheck.probes.ranks import rank
from initcheck.training.train import Trained


def gap_between_parts(trained: Trained, parts: int, along: Mapping[str, int]) -> Tensor:
    """Largest difference between an entry of a part and the same entry of the first part.

    Args:
        trained: an arm; its parameters after the last step are read.
        parts: the number of parts of equal size.
        along: for each parameter by name the dimension along which it has parts.
    """
    gaps = []
    for name, dim in along.items():
        first, *others = trained.parameters[name].chunk(parts, dim + 1)  # dimension 0 is the seed
        gaps.append(torch.stack([largest((other - first).abs()) for other in others]).amax(0))
    return torch.stack(gaps).amax(0)


def weight_rank(trained: Trained, layer: str) -> Tensor:
    """Numerical rank of a weight after the last step: singular values above 1e-4."""
    return rank(trained.parameters[layer])


def gap_between_layers(trained: Trained, layers: str) -> Tensor:
    """Largest difference between a parameter of any layer and that of the first, at the start.

    ``layers`` is the name of a list of layers, such as ``encoder.layers``.
    """
    inside = {
        name.removeprefix(f"{layers}."): tensor
        for name, tensor in trained.start.items()
        if name.startswith(f"{layers}.")
    }
    first = {name.partition(".")[2]: t for name, t in inside.items() if name.startswith("0.")}
    gaps = [largest((t - first[name.partition(".")[2]]).abs()) for name, t in inside.items()]
    return torch.stack(gaps).amax(0)


def gap_between_heads(trained: Trained, name: str, heads: int) -> Tensor:
    """Largest difference between two heads in a packed projection of queries, keys and values.

    ``name`` is that of the weight, ``(3 D, D)``; the parameters after the last step are read.
    """
    weight = trained.parameters[name]
    seeds, rows, width = weight.shape
    packed = weight.view(seeds, 3, heads, rows // (3 * heads), width)
    return largest((packed - packed[:, :, :1]).abs())
