"""Small training loops for tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn


def small(
    seed: int, *, rate: float = 0.1, dtype: torch.dtype = torch.float32, steps: int = 100
) -> Iterator[Any]:
    """A network of two layers, trained by SGD with momentum on random images and labels."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    yield model, optimizer
    for _ in range(steps):
        inputs = torch.randn(16, 6, generator=generator).to(dtype)
        targets = torch.randint(3, (16,), generator=generator)
        loss: Tensor = nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield loss
