"""Many small deep networks as one module, for laws about the spread between networks."""

from __future__ import annotations

import math
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.networks.network import Network

PIXELS, CLASSES = 784, 10


class Many(nn.Module):
    """ReLU networks on one first layer: ``(B, 1, 28, 28)`` to the mean of their logits ``(B, 10)``.

    The hidden layers of all networks are one tensor, ``(networks, depth, width, width)``.
    """

    def __init__(self, networks: int, depth: int, width: int) -> None:
        super().__init__()
        self.input = nn.Linear(PIXELS, width, bias=False)
        self.layers = nn.Parameter(torch.zeros(networks, depth, width, width))
        self.output = nn.Linear(width, CLASSES, bias=False)

    def forward(self, x: Tensor, seen: list[Tensor] | None = None) -> Tensor:
        """Logits; ``seen`` gets all states, ``depth + 1`` tensors ``(networks, B, width)``."""
        state = F.relu(self.input(x.flatten(1))).expand(len(self.layers), -1, -1)
        states = [state]
        for layers in self.layers.unbind(1):  # (networks, width, width)
            state = self._next(state, F.relu(torch.bmm(state, layers.mT)))
            states.append(state)
        if seen is not None:
            seen.extend(states)
        logits: Tensor = self.output(state.mean(0))
        return logits

    def _next(self, _state: Tensor, computed: Tensor) -> Tensor:
        return computed


class ManyResidual(Many):
    """As ``Many``, but each layer is a branch, divided by the root of their number and added."""

    def _next(self, state: Tensor, computed: Tensor) -> Tensor:
        return state + branch_scale(self.layers.shape[1]) * computed


def branch_scale(depth: int) -> float:
    """What multiplies each of ``depth`` branches: 1 / sqrt(depth)."""
    return 1 / math.sqrt(depth)


@cache  # equal calls give the same network, so that equal arms are trained once
def many(networks: int, depth: int, width: int) -> Network:
    """That many ReLU networks of this depth and width."""
    name = f"{networks} networks of {depth} relu layers of {width}, no bias"
    return Network(name, partial(Many, networks, depth, width))


@cache  # as above
def many_residual(networks: int, depth: int, width: int) -> Network:
    """That many residual networks of this depth and width."""
    name = f"{networks} networks of {depth} relu branches / sqrt({depth}) of {width}, no bias"
    return Network(name, partial(ManyResidual, networks, depth, width))
