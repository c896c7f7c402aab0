"""A two-layer LSTM that learns to add two marked numbers of a sequence, trained by Adam."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

LENGTH, HIDDEN, LAYERS = 20, 32, 2
BATCH, STEPS, LR = 32, 200, 3e-3


class Adder(nn.Module):
    """Reads a sequence and predicts one number."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, HIDDEN, LAYERS, batch_first=True)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, sequence: Tensor) -> Tensor:
        """From ``(B, LENGTH, 2)`` to ``(B,)``."""
        states, _ = self.lstm(sequence)  # (B, LENGTH, HIDDEN)
        return self.head(states[:, -1]).squeeze(-1)


def sums(generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Numbers with marks ``(B, LENGTH, 2)``, and the sum of the marked numbers ``(B,)``."""
    while True:
        numbers = torch.rand(BATCH, LENGTH, generator=generator)
        places = torch.rand(BATCH, LENGTH, generator=generator).topk(2).indices
        marks = torch.zeros(BATCH, LENGTH).scatter_(1, places, 1.0)
        yield torch.stack([numbers, marks], -1), (numbers * marks).sum(1)


def training(
    seed: int, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Iterator[object]:
    """The network with its optimizer, then the loss of each step."""
    torch.manual_seed(seed)
    model = Adder().to(device, dtype)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    data = sums(torch.Generator().manual_seed(seed))
    yield model, optimizer
    for _ in range(STEPS):
        sequence, total = next(data)
        predicted = model(sequence.to(device, dtype))
        loss = functional.mse_loss(predicted, total.to(device, dtype))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield loss
