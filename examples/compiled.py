"""A network that torch.compile compiles, or not: both must train the same.

The compiler needs a C++ compiler on the CPU, and Triton on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUTS, WIDTH, BLOCKS = 16, 64, 2
BATCH, STEPS, LR = 64, 200, 2e-3


class Gated(nn.Module):
    """A norm and a gated layer around which the input is led."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(WIDTH)
        self.enter, self.leave = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """From ``(B, WIDTH)`` to the same shape."""
        value, gate = self.enter(self.norm(x)).chunk(2, -1)
        return x + self.leave(value * functional.silu(gate))


def network() -> nn.Module:
    """From ``(B, INPUTS)`` to ``(B, 1)``."""
    blocks = (Gated() for _ in range(BLOCKS))
    enter, leave = nn.Linear(INPUTS, WIDTH), nn.Linear(WIDTH, 1)
    return nn.Sequential(enter, *blocks, nn.LayerNorm(WIDTH), leave)


def waves(generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs ``(B, INPUTS)`` and a sum of waves of them ``(B, 1)``."""
    rates = torch.randn(INPUTS, 4, generator=generator) / INPUTS**0.5
    while True:
        inputs = torch.randn(BATCH, INPUTS, generator=generator)
        yield inputs, (inputs @ rates).sin().sum(1, keepdim=True)


def training(
    seed: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    compiled: bool = False,
) -> Iterator[object]:
    """The network with its optimizer, then the loss of each step."""
    torch.manual_seed(seed)
    model = network().to(device, dtype)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    forward = torch.compile(model) if compiled else model
    data = waves(torch.Generator().manual_seed(seed))
    yield model, optimizer
    for _ in range(STEPS):
        inputs, targets = (each.to(device, dtype) for each in next(data))
        loss = functional.mse_loss(forward(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss


def training_compiled(
    seed: int, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Iterator[object]:
    """The same with a compiled network."""
    yield from training(seed, dtype=dtype, device=device, compiled=True)
