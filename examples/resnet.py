"""A small ResNet with BatchNorm, trained by SGD with momentum and weight decay."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES, CHANNELS, SIZE = 10, 8, 12  # images have 3 x SIZE x SIZE numbers
IMAGES, BATCH, EPOCHS = 512, 32, 8
LR, MOMENTUM, DECAY = 0.05, 0.9, 5e-4


class Residual(nn.Module):
    """Two convolutions around which the input is led."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.around: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            shorter = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.around = nn.Sequential(shorter, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """From ``(B, inputs, H, W)`` to ``(B, outputs, H / stride, W / stride)``."""
        inner = self.norm1(self.conv1(x)).relu()
        return (self.norm2(self.conv2(inner)) + self.around(x)).relu()


def resnet() -> nn.Module:
    """A network from ``(B, 3, SIZE, SIZE)`` to logits ``(B, CLASSES)``."""
    return nn.Sequential(
        nn.Conv2d(3, CHANNELS, 3, padding=1, bias=False),
        nn.BatchNorm2d(CHANNELS),
        nn.ReLU(),
        Residual(CHANNELS, CHANNELS, 1),
        Residual(CHANNELS, 2 * CHANNELS, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2 * CHANNELS, CLASSES),
    )


def pictures(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images ``(IMAGES, 3, SIZE, SIZE)``, a faint pattern for each class in noise, and classes."""
    patterns = torch.randn(CLASSES, 3, SIZE, SIZE, generator=generator)
    classes = torch.randint(CLASSES, (IMAGES,), generator=generator)
    noise = torch.randn(IMAGES, 3, SIZE, SIZE, generator=generator)
    return 0.3 * patterns[classes] + noise, classes


def training(
    seed: int,
    *,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    memory_format: torch.memory_format = torch.contiguous_format,
) -> Iterator[object]:
    """The network with its optimizer, then the loss of each step."""
    torch.manual_seed(seed)
    model = resnet().to(device, dtype, memory_format=memory_format)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY, nesterov=False
    )
    generator = torch.Generator().manual_seed(seed)
    images, classes = pictures(generator)
    images = images.to(device, dtype, memory_format=memory_format)
    classes = classes.to(device)
    yield model, optimizer
    for _ in range(EPOCHS):
        for batch in torch.randperm(IMAGES, generator=generator).to(device).split(BATCH):
            loss = functional.cross_entropy(model(images[batch]), classes[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss
