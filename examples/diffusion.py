"""A diffusion model of points in the plane: it predicts noise; weights are averaged over steps."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import swa_utils

LEVELS, WIDTH, BATCH, STEPS = 200, 64, 256, 200  # LEVELS of noise
LR, EMA_DECAY = 2e-3, 0.98


class Denoiser(nn.Module):
    """Predicts the noise in points from the points and the level of noise."""

    def __init__(self) -> None:
        super().__init__()
        self.point, self.level = nn.Linear(2, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.hidden = nn.Sequential(
            nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH), nn.SiLU()
        )
        self.out = nn.Linear(WIDTH, 2)
        rates = torch.exp(-math.log(1e4) * torch.arange(WIDTH // 2) / (WIDTH // 2))
        self.register_buffer("rates", rates)

    def forward(self, points: Tensor, level: Tensor) -> Tensor:
        """From points ``(B, 2)`` and levels ``(B,)`` to noise ``(B, 2)``."""
        angles = level[:, None].to(points.dtype) * self.rates  # (B, WIDTH / 2)
        waves = torch.cat([angles.sin(), angles.cos()], -1)
        return self.out(self.hidden(self.point(points) + self.level(waves)))


def circles(generator: torch.Generator) -> Tensor:
    """Points ``(B, 2)`` on two circles."""
    angle = 2 * math.pi * torch.rand(BATCH, generator=generator)
    radius = 1.0 + torch.randint(2, (BATCH,), generator=generator)
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], -1)


def training(
    seed: int, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Iterator[object]:
    """The model and its average with the optimizer, then the loss of each step."""
    torch.manual_seed(seed)
    model = Denoiser().to(device, dtype)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.01)
    average = swa_utils.AveragedModel(
        model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(EMA_DECAY), use_buffers=False
    ).requires_grad_(requires_grad=False)
    kept = torch.cumprod(1 - torch.linspace(1e-4, 0.05, LEVELS), 0).to(device, dtype)
    generator = torch.Generator().manual_seed(seed)  # of points, noise and levels
    yield nn.ModuleDict({"model": model, "average": average}), optimizer
    for _ in range(STEPS):
        points = circles(generator).to(device, dtype)
        noise = torch.randn(BATCH, 2, generator=generator).to(device, dtype)
        level = torch.randint(LEVELS, (BATCH,), generator=generator).to(device)
        share = kept[level, None]
        noisy = share.sqrt() * points + (1 - share).sqrt() * noise
        loss = functional.mse_loss(model(noisy, level), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        average.update_parameters(model)
        yield loss
