"""Low-rank adapters on a frozen network, with a learning rate for each group of parameters."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUTS, WIDTH, CLASSES = 32, 64, 8
RANK, ALPHA = 4, 8.0
BATCH, STEPS = 64, 200
LR_A, LR_B, LR_HEAD, DECAY = 2e-3, 1e-2, 2e-3, 0.01


class Adapted(nn.Module):
    """A frozen linear layer plus a product of two thin matrices, which starts at zero."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base.requires_grad_(requires_grad=False)
        self.a = nn.Parameter(torch.randn(RANK, base.in_features) / base.in_features**0.5)
        self.b = nn.Parameter(torch.zeros(base.out_features, RANK))

    def forward(self, x: Tensor) -> Tensor:
        """From ``(B, in)`` to ``(B, out)``."""
        change = functional.linear(functional.linear(x, self.a), self.b)
        return self.base(x) + ALPHA / RANK * change


class Classifier(nn.Module):
    """A pretrained network, here a random one, with adapters and a new last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = Adapted(nn.Linear(INPUTS, WIDTH))
        self.second = Adapted(nn.Linear(WIDTH, WIDTH))
        self.norm = nn.LayerNorm(WIDTH).requires_grad_(requires_grad=False)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """From ``(B, INPUTS)`` to logits ``(B, CLASSES)``."""
        x = functional.gelu(self.first(x))
        return self.head(self.norm(x + functional.gelu(self.second(x))))


def points(generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs ``(B, INPUTS)`` around a center for each class, and classes ``(B,)``."""
    centers = 0.5 * torch.randn(CLASSES, INPUTS, generator=generator)
    while True:
        classes = torch.randint(CLASSES, (BATCH,), generator=generator)
        yield centers[classes] + torch.randn(BATCH, INPUTS, generator=generator), classes


def training(
    seed: int, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Iterator[object]:
    """The model with its optimizer, then the loss of each step."""
    torch.manual_seed(seed)
    model = Classifier().to(device, dtype)
    adapters = [model.first, model.second]
    groups = [
        {"params": [each.a for each in adapters], "lr": LR_A, "weight_decay": DECAY},
        {"params": [each.b for each in adapters], "lr": LR_B, "weight_decay": 0.0},
        {"params": list(model.head.parameters()), "lr": LR_HEAD, "weight_decay": DECAY},
    ]
    optimizer = torch.optim.AdamW(groups)
    data = points(torch.Generator().manual_seed(seed))
    yield model, optimizer
    for _ in range(STEPS):
        inputs, classes = next(data)
        loss = functional.cross_entropy(model(inputs.to(device, dtype)), classes.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss
