"""Deep networks of equal layers, whose weights are one tensor: for laws of depth.

One tensor ``(depth, width, width)`` stands for all hidden layers, so a network of a hundred layers
has three parameters. ``initcheck.initializers.layerwise_`` fills it layer by layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.networks.network import ACTIVATIONS, Network

PIXELS, CLASSES = 784, 10
OMEGA = 30.0  # SIREN's factor within the sine: arXiv 2006.09661, section 3.2


@dataclass(frozen=True)
class Shape:
    """What a stack computes.

    Attributes:
        depth: hidden layers.
        width: units of each.
        activation: a name in ``ACTIVATIONS``, or ``sine``, sin(30 z), or ``slow sine``, sin(z).
        norm: ``batch`` normalizes each layer's outputs over the images, without gains.
        skip: whether each layer adds to its input.
        scale: multiplies what a layer computes.
        biases: whether there is a parameter ``biases``, zero as built.
        mirrored: whether the first state is followed by its negative, which fills half the width.
    """

    depth: int
    width: int
    activation: str = "relu"
    norm: Literal["none", "batch"] = "none"
    skip: bool = False
    scale: float = 1.0
    biases: bool = False
    mirrored: bool = False

    def __str__(self) -> str:
        kind = f"{self.depth} {self.activation} layers of {self.width}"
        told = (
            (self.norm == "batch", "batch norm"),
            (self.skip, "skips"),
            (self.scale != 1, f"branches x {self.scale:.4g}"),
            (self.mirrored, "mirrored inputs"),
            (not self.biases, "no bias"),
        )
        return ", ".join([kind, *(text for holds, text in told if holds)])


def _sine(z: Tensor) -> Tensor:
    return torch.sin(OMEGA * z)


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    sines: dict[str, Callable[[Tensor], Tensor]] = {"sine": _sine, "slow sine": torch.sin}
    return sines[name] if name in sines else ACTIVATIONS[name]()


class Stack(nn.Module):
    """``z <- W act(z) + b``, layer after layer: images ``(B, 1, 28, 28)`` to logits ``(B, 10)``.

    The hidden layers start as torch's own linear layers do.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width, first = shape.width, shape.width // (2 if shape.mirrored else 1)
        self.shape = shape
        self.act = _activation(shape.activation)
        self.input = nn.Linear(PIXELS, first, bias=False)
        linear = (nn.Linear(width, width, bias=False) for _ in range(shape.depth))
        self.layers = nn.Parameter(torch.stack([each.weight.detach() for each in linear]))
        if shape.biases:
            self.biases = nn.Parameter(torch.zeros(shape.depth, width))
        self.output = nn.Linear(width, CLASSES, bias=False)

    def forward(self, x: Tensor, seen: list[Tensor] | None = None) -> Tensor:
        """Logits; ``seen`` gets all pre-activations, ``depth + 1`` tensors ``(B, width)``."""
        states = self.states(x)
        if seen is not None:
            seen.extend(states)
        logits: Tensor = self.output(self.act(states[-1]))
        return logits

    def states(self, x: Tensor) -> list[Tensor]:
        """The pre-activations of the first layer, then of each hidden layer."""
        z = self.input(x.flatten(1))
        z = torch.cat([z, -z], 1) if self.shape.mirrored else z
        states = [z]
        for number in range(self.shape.depth):
            z = self._layer(z, number)
            states.append(z)
        return states

    def _layer(self, z: Tensor, number: int) -> Tensor:
        shape = self.shape
        bias = self.biases[number] if shape.biases else None
        added = F.linear(self.act(z), self.layers[number], bias)
        if shape.norm == "batch":
            added = F.batch_norm(added, None, None, training=True)
        added = added * shape.scale if shape.scale != 1 else added
        return z + added if shape.skip else added


@cache  # equal calls give the same network, so that equal arms are trained once
def stack(shape: Shape) -> Network:
    """The network of this shape."""
    return Network(str(shape), partial(Stack, shape))
