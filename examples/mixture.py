"""A mixture of experts: a router sends each input to its two best experts; Adam."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUTS, WIDTH, EXPERTS, CHOSEN, CLASSES = 16, 32, 4, 2, 8
BATCH, STEPS = 128, 200
LR, BALANCE = 3e-3, 0.01  # BALANCE weighs the loss that spreads inputs over the experts


class Mixture(nn.Module):
    """Adds the answers of the chosen experts, weighted by the router."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(INPUTS, WIDTH)
        self.router = nn.Linear(WIDTH, EXPERTS, bias=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))
            for _ in range(EXPERTS)
        )
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, CLASSES)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Logits ``(B, CLASSES)`` and the loss of balance, from ``(B, INPUTS)``."""
        x = self.enter(inputs)
        shares = functional.softmax(self.router(x), -1)  # (B, EXPERTS)
        best, chosen = torch.topk(shares, CHOSEN)  # (B, CHOSEN)
        best = best / best.sum(-1, keepdim=True)
        mixed = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            row, place = torch.where(chosen == number)
            mixed = mixed.index_add(0, row, best[row, place, None] * expert(x[row]))
        used = functional.one_hot(chosen, EXPERTS).sum(1).to(x.dtype).mean(0) / CHOSEN
        balance = EXPERTS * (used * shares.mean(0)).sum()
        return self.head(self.norm(x + mixed)), balance


def points(generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs ``(B, INPUTS)`` around two centers for each class, and classes ``(B,)``."""
    centers = torch.randn(2 * CLASSES, INPUTS, generator=generator)
    while True:
        center = torch.randint(2 * CLASSES, (BATCH,), generator=generator)
        noise = torch.randn(BATCH, INPUTS, generator=generator)
        yield centers[center] + noise, center % CLASSES


def training(
    seed: int, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Iterator[object]:
    """The model with its optimizer, then the loss of each step."""
    torch.manual_seed(seed)
    model = Mixture().to(device, dtype)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    data = points(torch.Generator().manual_seed(seed))
    yield model, optimizer
    for _ in range(STEPS):
        inputs, classes = next(data)
        logits, balance = model(inputs.to(device, dtype))
        loss = functional.cross_entropy(logits, classes.to(device)) + BALANCE * balance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss
