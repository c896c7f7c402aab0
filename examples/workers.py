"""Data from worker processes, which disturb each image at random: a seed for each worker."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn, utils
from torch.nn import functional

CLASSES, SIZE, IMAGES = 8, 8, 256  # images have SIZE x SIZE numbers
BATCH, WORKERS, EPOCHS, NOISE = 32, 2, 25, 0.5
LR, MOMENTUM = 0.1, 0.9


class Pictures(utils.data.Dataset[tuple[Tensor, int]]):
    """A faint pattern for each class; noise and a random mirror each time that one is read."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.patterns = torch.randn(CLASSES, SIZE, SIZE, generator=generator)
        self.classes = torch.randint(CLASSES, (IMAGES,), generator=generator).tolist()

    def __len__(self) -> int:
        return IMAGES

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.patterns[self.classes[index]]
        if torch.randint(2, ()):
            image = image.flip(-1)
        return image + NOISE * torch.randn(SIZE, SIZE), self.classes[index]


def start_worker(_number: int) -> None:
    """Seed what a worker draws from by the seed of the loader and its number."""
    torch.manual_seed(utils.data.get_worker_info().seed)


def network() -> nn.Module:
    """From ``(B, SIZE, SIZE)`` to logits ``(B, CLASSES)``."""
    return nn.Sequential(
        nn.Unflatten(1, (1, SIZE)),
        nn.Conv2d(1, 16, 3, padding=1),
        nn.GroupNorm(4, 16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * (SIZE // 2) ** 2, CLASSES),
    )


def training(
    seed: int, *, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> Iterator[object]:
    """The network with its optimizer, then the loss of each step."""
    torch.manual_seed(seed)
    model = network().to(device, dtype)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * IMAGES // BATCH)
    loader = utils.data.DataLoader(
        Pictures(seed),
        BATCH,
        shuffle=True,
        num_workers=WORKERS,
        worker_init_fn=start_worker,
        generator=torch.Generator().manual_seed(seed),  # of the order and of the workers' seeds
    )
    yield model, optimizer
    for _ in range(EPOCHS):
        for images, classes in loader:
            logits = model(images.to(device, dtype))
            loss = functional.cross_entropy(logits, classes.to(device), label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            yield loss
