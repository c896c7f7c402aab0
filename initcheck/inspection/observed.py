"""What is observed at the first step: layers, ReLUs, losses, and which parameters are awake."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from initcheck.inspection.losses import Loss


@dataclass
class Layer:
    """A module with parameters, at its first call.

    Attributes:
        forward: mean square of its output.
        backward: mean square of the loss's gradient with respect to its output; None without one.
        spread_in: how far samples differ from the first one at its input, as a part of their
            size; None if its input has no sample dimension.
        spread_out: the same at its output.
        one_direction: its outputs are multiples of one vector, up to rounding, and its inputs
            are not.
    """

    path: str
    owner: nn.Module
    forward: float
    backward: float | None = None
    spread_in: float | None = None
    spread_out: float | None = None
    one_direction: bool = False


@dataclass(frozen=True)
class Relu:
    """A ReLU, after the layer that was called last.

    Attributes:
        dead: units that are zero for every sample and at every place, of so many.
        negative: every input is below zero.
    """

    path: str
    dead: int
    units: int
    negative: bool


@dataclass
class First:
    """What the first step showed.

    Attributes:
        awake: names of parameters whose gradient is not exactly zero.
        reached: names of parameters to which autograd gave a gradient, which may be zero.
        functions: `torch.autograd.Function`s that torch does not define.
        samples: the number of samples; 0 if the batch has no such dimension.
        outputs: how many numbers layers with parameters returned, in all calls.
        batch: the batch on which it was taken, until check ``asleep`` is done.
        moves: where that step would move each parameter, until check ``asleep`` is done.
        at_once: so many samples are computed at once; 0 for the whole batch.
    """

    loss: float = 0.0
    samples: int = 0
    layers: dict[str, Layer] = field(default_factory=dict)
    relus: list[Relu] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    awake: set[str] = field(default_factory=set)
    reached: set[str] = field(default_factory=set)
    functions: list[type[torch.autograd.Function]] = field(default_factory=list)
    outputs: int = 0
    batch: Any = None
    moves: dict[str, Tensor] = field(default_factory=dict)
    at_once: int = 0
