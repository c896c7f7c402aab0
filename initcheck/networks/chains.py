"""Many narrow ReLU chains at once, without biases: how many are dead for an image at their start.

Letters: K chains, N units of a layer, B batch, I inputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.networks.network import SIDE, Network

CHAINS, UNITS, DEPTH, POOL = 1000, 3, 5, 4


class Chains(nn.Module):
    """1,000 chains of five ReLU layers of three units; logits from the mean of their outputs."""

    def __init__(self) -> None:
        super().__init__()
        inputs = (SIDE // POOL) ** 2
        self.first = nn.Parameter(torch.randn(CHAINS, UNITS, inputs))
        later = [torch.randn(CHAINS, UNITS, UNITS) for _ in range(DEPTH - 1)]
        self.later = nn.ParameterList(later)
        self.output = nn.Linear(1, 10)

    def ends(self, x: Tensor) -> Tensor:
        """The last units of every chain: ``(B, 1, 28, 28)`` to ``(K, B, N)``."""
        x = torch.relu(F.avg_pool2d(x, POOL).flatten(1) @ self.first.mT)
        for weight in self.later:
            x = torch.relu(x @ weight.mT)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, 1, 28, 28)`` to logits ``(B, 10)``."""
        logits: Tensor = self.output(self.ends(x).mean((0, 2))[:, None])
        return logits


CHAIN = Network(f"{CHAINS} ReLU chains 49-{UNITS}x{DEPTH}", Chains)
