"""What watching costs, in processor time: `python -m tests.trajectory.cost [LOOP ...]`.

Each loop is trained plainly, watched as a check watches it, and as a twin, in turns A B C C B A
within one process, so that a machine's other work touches all of them.
"""

from __future__ import annotations

import gc
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from initcheck.trajectory.loops import Loop
from initcheck.trajectory.run import run
from initcheck.trajectory.twins import Disturbance

STEPS = 32
ROUNDS = 2  # of six runs each


def _descend(
    model: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], optimizer: torch.optim.Optimizer
) -> Iterator[Any]:
    yield model, optimizer
    for inputs, targets in batches:
        loss = nn.functional.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        yield loss


def _images(seed: int, count: int, *shape: int) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        inputs = torch.randn(count, *shape, generator=generator)
        yield inputs, torch.randint(10, (count,), generator=generator)


def perceptron(seed: int) -> Iterator[Any]:
    """784 to 256 to 256 to 10, batches of 128, AdamW."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )
    yield from _descend(model, _images(seed, 128, 784), torch.optim.AdamW(model.parameters()))


class Tokens(nn.Module):
    """Four pre-norm layers of width 128."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(32, 128)
        layer = nn.TransformerEncoderLayer(128, 4, 256, 0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(128, 10)

    def forward(self, values: Tensor) -> Tensor:
        return self.head(self.layers(self.embed(values)).mean(1))


def transformer(seed: int) -> Iterator[Any]:
    """`Tokens` with AdamW, batches of 8 x 32."""
    torch.manual_seed(seed)
    model = Tokens()
    yield from _descend(model, _images(seed, 8, 32, 32), torch.optim.AdamW(model.parameters()))


def resnet(seed: int) -> Iterator[Any]:
    """ResNet-18 of torchvision at 64 x 64 with momentum, batches of 4."""
    from torchvision.models import resnet18

    torch.manual_seed(seed)
    model = resnet18(num_classes=10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    yield from _descend(model, _images(seed, 4, 3, 64, 64), optimizer)


LOOPS = {"perceptron": perceptron, "transformer": transformer, "resnet": resnet}


def plainly(training: Callable[[int], Iterator[Any]]) -> None:
    """The same steps without initcheck."""
    for _ in itertools.islice(training(0), 1 + STEPS):
        pass


def watched(training: Callable[[int], Iterator[Any]]) -> None:
    """As a check runs them."""
    run(Loop(training, "training"), 0, STEPS)


def disturbed(training: Callable[[int], Iterator[Any]]) -> None:
    """As a twin runs them."""
    run(Loop(training, "training"), 0, STEPS, disturb=Disturbance(0, 0))


def ratios(training: Callable[[int], Iterator[Any]], rounds: int = ROUNDS) -> tuple[float, ...]:
    """Processor seconds of plain training, and what a check and a twin cost in units of it."""
    ways = (plainly, watched, disturbed)
    spent = dict.fromkeys(ways, 0.0)
    for way in ways:
        way(training)  # kernels, caches of signs and factors
    for way in (*ways, *ways[::-1]) * rounds:
        gc.collect()
        before = time.process_time()
        way(training)
        spent[way] += time.process_time() - before
    plain = spent[plainly]
    return plain / (2 * rounds), spent[watched] / plain, spent[disturbed] / plain


def main(names: list[str]) -> None:
    """Print a row for each loop."""
    torch.set_num_threads(1)
    print(f"{'loop':<14}{'ms a step':>10}{'check':>8}{'twin':>8}")
    for name in names or LOOPS:
        seconds, check, twin = ratios(LOOPS[name])
        print(f"{name:<14}{seconds / STEPS * 1e3:>10.2f}{check:>8.2f}{twin:>8.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
