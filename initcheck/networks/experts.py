"""Mixtures of experts: a router weights the answers of small networks.

Letters: B batch, I inputs, E experts, H hidden units of an expert, C classes.
"""

from __future__ import annotations

import math
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it
from torch.nn import init

from initcheck.networks.network import SIDE, Network

EXPERTS, HIDDEN, CLASSES, POOL = 4, 8, 10, 4


class Mixture(nn.Module):
    """Expert e is ``down[e] relu(up[e] x)``; the logits are their sum, weighted by the gate.

    Attributes:
        router: ``(E, I)``, without bias.
        up: ``(E, H, I)``.
        down: ``(E, C, H)``.
        top: how many experts of the largest probabilities take part.
        normalized: whether the weights of those are divided by their sum.
    """

    def __init__(self, inputs: int, top: int, *, normalized: bool) -> None:
        super().__init__()
        self.router = nn.Linear(inputs, EXPERTS, bias=False)
        self.up = nn.Parameter(torch.empty(EXPERTS, HIDDEN, inputs))
        self.down = nn.Parameter(torch.empty(EXPERTS, CLASSES, HIDDEN))
        self.top, self.normalized = top, normalized
        for stack in (self.up, self.down):
            init.normal_(stack, std=math.sqrt(2 / stack.shape[-1]))

    def gate(self, probabilities: Tensor) -> Tensor:
        """The weight of each expert, ``(B, E)``; zero for those that take no part."""
        chosen = probabilities.topk(self.top, dim=-1).indices
        kept = probabilities * torch.zeros_like(probabilities).scatter(-1, chosen, 1.0)
        return kept / kept.sum(-1, keepdim=True) if self.normalized else kept

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, 1, 28, 28)``, pooled, to logits ``(B, C)``."""
        x = F.avg_pool2d(x, POOL).flatten(1)  # (B, I)
        weights = self.gate(self.router(x).softmax(-1))  # (B, E)
        hidden = torch.relu(x @ self.up.mT)  # (E, B, H)
        answers = hidden @ self.down.mT  # (E, B, C)
        return (weights.mT[..., None] * answers).sum(0)


@cache  # equal calls give the same network, so that equal arms are trained once
def mixture(top: int = EXPERTS, *, normalized: bool = False) -> Network:
    """Four experts of eight hidden units on images pooled to 7 x 7."""
    rule = "all experts" if top == EXPERTS else f"top-{top}" + " normalized" * normalized
    build = partial(Mixture, (SIDE // POOL) ** 2, top, normalized=normalized)
    return Network(f"mixture of {EXPERTS} experts of 49-{HIDDEN}-{CLASSES}, {rule}", build)
