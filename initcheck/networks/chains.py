"""Many narrow ReLU chains at once: how many are dead at their start.

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

# --- with biases ----------------------------------------------------------------------------------

FEWER, NARROW, LAYERS = 250, 2, 10


class BiasedChains(nn.Module):
    """250 chains of ten ReLU layers of two units; logits from the mean of their outputs.

    The last column of each weight is the bias, so that a law can draw both together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(FEWER, NARROW, (SIDE // POOL) ** 2 + 1))
        later = [torch.randn(FEWER, NARROW, NARROW + 1) for _ in range(LAYERS - 1)]
        self.later = nn.ParameterList(later)
        self.output = nn.Linear(1, 10)

    def states(self, x: Tensor) -> list[Tensor]:
        """The units of each layer of every chain: ``(B, 1, 28, 28)`` to ``(K, B, N)`` each."""
        x, states = F.avg_pool2d(x, POOL).flatten(1), []
        for weight in (self.first, *self.later):
            x = torch.relu(x @ weight[..., :-1].mT + weight[..., -1][:, None])
            states.append(x)
        return states

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, 1, 28, 28)`` to logits ``(B, 10)``."""
        logits: Tensor = self.output(self.states(x)[-1].mean((0, 2))[:, None])
        return logits


BIASED_CHAIN = Network(f"{FEWER} ReLU chains 49-{NARROW}x{LAYERS}, biases", BiasedChains)
