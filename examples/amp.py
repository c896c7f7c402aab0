"""Mixed precision: products in bfloat16, weights in float32; dropout, and a validation loss."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUTS, WIDTH, CLASSES = 32, 128, 8
BATCH, STEPS, VALIDATE = 64, 200, 4  # steps between validations
LR, DROPOUT = 2e-3, 0.1


def network() -> nn.Module:
    """From ``(B, INPUTS)`` to logits ``(B, CLASSES)``."""
    return nn.Sequential(
        nn.Linear(INPUTS, WIDTH),
        nn.GELU(),
        nn.Dropout(DROPOUT),
        nn.Linear(WIDTH, WIDTH),
        nn.LayerNorm(WIDTH),
        nn.GELU(),
        nn.Dropout(DROPOUT),
        nn.Linear(WIDTH, CLASSES),
    )


def points(generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs ``(B, INPUTS)`` around a center for each class, and classes ``(B,)``."""
    centers = 0.5 * torch.randn(CLASSES, INPUTS, generator=generator)
    while True:
        classes = torch.randint(CLASSES, (BATCH,), generator=generator)
        yield centers[classes] + torch.randn(BATCH, INPUTS, generator=generator), classes


def training(seed: int, *, device: str = "cpu") -> Iterator[object]:
    """The model with its optimizer, then the loss of each step.

    Its precision is its own, so it takes no dtype.
    """
    torch.manual_seed(seed)  # of weights and dropout
    model = network().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=2)
    data = points(torch.Generator().manual_seed(seed))

    def loss_of(batch: tuple[Tensor, Tensor]) -> Tensor:
        inputs, classes = (each.to(device) for each in batch)
        with torch.autocast(device, dtype=torch.bfloat16):
            logits = model(inputs)
        return functional.cross_entropy(logits.float(), classes)

    validation = next(data)
    yield model, optimizer
    for step in range(STEPS):
        model.train()
        loss = loss_of(next(data))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % VALIDATE == 0:
            model.eval()
            with torch.no_grad():
                scheduler.step(loss_of(validation).item())
        yield loss
