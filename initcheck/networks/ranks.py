"""A frozen linear layer with two adapters of different rank, whose first steps can be compared."""

from __future__ import annotations

import math
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.networks.network import SIDE, Network

LOW, HIGH, ALPHA, POOL = 64, 1024, 1.0, 2  # both ranks; both scales have this factor


class LowRank(nn.Module):
    """``scale`` B A x: ``(B, I)`` to ``(B, O)``. It starts with B at zero."""

    def __init__(self, inputs: int, outputs: int, rank: int, scale: float) -> None:
        super().__init__()
        self.lora_a = nn.Parameter(torch.randn(rank, inputs) / math.sqrt(inputs))
        self.lora_b = nn.Parameter(torch.zeros(outputs, rank))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """The scaled product."""
        added: Tensor = x @ self.lora_a.mT @ self.lora_b.mT
        return self.scale * added


class TwoRanks(nn.Module):
    """A frozen linear layer on pooled images, plus adapters of ranks 64 and 1,024."""

    def __init__(self, *, root: bool) -> None:
        super().__init__()
        inputs = (SIDE // POOL) ** 2
        self.base = nn.Linear(inputs, 10).requires_grad_(False)
        self.low = LowRank(inputs, 10, LOW, scale(LOW, root=root))
        self.high = LowRank(inputs, 10, HIGH, scale(HIGH, root=root))

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, 1, 28, 28)`` to logits ``(B, 10)``."""
        x = F.avg_pool2d(x, POOL).flatten(1)
        logits: Tensor = self.base(x) + self.low(x) + self.high(x)
        return logits


def scale(rank: int, *, root: bool) -> float:
    """Alpha over the rank, or over its root: Kalajdzievski 2023, arXiv 2312.03732, eq. 4."""
    return ALPHA / (math.sqrt(rank) if root else rank)


@cache  # equal calls give the same network, so that equal arms are trained once
def two_ranks(*, root: bool) -> Network:
    """Two adapters, scaled by alpha / sqrt(rank) or by alpha / rank."""
    rule = "alpha / sqrt(rank)" if root else "alpha / rank"
    return Network(
        f"adapters of ranks {LOW} and {HIGH} scaled by {rule}", partial(TwoRanks, root=root)
    )
