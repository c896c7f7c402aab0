"""What an arm is: a network, an initializer, a recipe and a data set, as frozen values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache, partial

import numpy as np
import torch
from torch import nn

from initcheck.initializers import Initializer
from initcheck.networks import Network

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Optimizer:
    """The name of a class in ``torch.optim`` and its options; torch's own code takes the steps.

    ``kind`` is a class of one's own in place of torch's, which is then called by ``name``.
    """

    name: str
    options: tuple[tuple[str, float | bool | tuple[float, ...]], ...] = ()
    kind: Callable[..., torch.optim.Optimizer] | None = None

    def over(self, parameters: Iterable[torch.Tensor], **engine: bool) -> torch.optim.Optimizer:
        """The optimizer of these parameters; ``engine`` adds what an engine needs (``fused``)."""
        make: Callable[..., torch.optim.Optimizer] = self.kind or getattr(torch.optim, self.name)
        return make(list(parameters), **dict(self.options), **engine)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value}' for key, value in self.options)})"


def optimizer(name: str, /, **options: float | bool | tuple[float, ...]) -> Optimizer:
    """An optimizer of ``torch.optim`` by name.

    Raises:
        ValueError: torch has no optimizer of that name.
    """
    found = getattr(torch.optim, name, None)
    if not (isinstance(found, type) and issubclass(found, torch.optim.Optimizer)):
        raise ValueError(  # noqa: TRY004 -- a wrong name, not a wrong type
            f"torch.optim {torch.__version__} has no optimizer called {name!r}"
        )
    return Optimizer(name, tuple(sorted(options.items())))


SGD = partial(optimizer, "SGD")
Adam = partial(optimizer, "Adam")
AdamW = partial(optimizer, "AdamW")
RMSprop = partial(optimizer, "RMSprop")
Adagrad = partial(optimizer, "Adagrad")


@dataclass(frozen=True)
class Recipe:
    """How an arm is trained: optimizer, images a batch, steps, and where to keep parameters.

    Attributes:
        optimizer: e.g. ``Adam(lr=1e-2)``.
        batch: images a step, drawn without replacement within an epoch.
        steps: optimizer steps.
        keep_at: steps after which the parameters named in ``keep`` are kept for the probes.
        keep: names of those parameters.
        dtype: ``float32`` or ``float64``.
    """

    optimizer: Optimizer
    batch: int
    steps: int
    keep_at: tuple[int, ...] = ()
    keep: tuple[str, ...] = ()
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.batch < 1 or self.steps < 0:
            raise ValueError(f"a recipe needs batch >= 1 and steps >= 0, not {self}")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype {self.dtype!r} is not one of {', '.join(DTYPES)}")
        if not all(1 <= step <= self.steps for step in self.keep_at):
            raise ValueError(f"keep_at {self.keep_at} must lie from 1 to {self.steps} steps")

    def __str__(self) -> str:
        return f"{self.optimizer}, batch {self.batch}, {self.steps} steps, {self.dtype}"


@dataclass(frozen=True)
class Arm:
    """One experiment: equal arms are trained once a session, whoever asks."""

    network: Network
    initializer: Initializer
    recipe: Recipe
    data: str = "mnist5k"
    name: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.network.name} | {self.initializer.name} | {self.recipe} | {self.data}"

    @property
    def label(self) -> str:
        """What a table calls it: its own name, or its initializer's."""
        return self.name or self.initializer.name

    def build(self, seed: int) -> nn.Module:
        """The module at its start, on the CPU, in the recipe's dtype, ready to train."""
        module = self.network.fresh(derived(seed, "constructor"))
        self.initializer(module, stream(seed, "weights"))
        return module.to(DTYPES[self.recipe.dtype]).train()


_PURPOSES = ("constructor", "weights", "order", "twin", "training")


@lru_cache(maxsize=2**16)  # asked again and again, and numpy takes its time
def derived(seed: int, purpose: str, *more: int) -> int:
    """A 63-bit seed of its own for each purpose, so that streams never overlap."""
    key = [seed, _PURPOSES.index(purpose), *more]
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def stream(seed: int, purpose: str, *more: int) -> torch.Generator:
    """A generator on the CPU for one purpose of one replica."""
    return torch.Generator().manual_seed(derived(seed, purpose, *more))


def order(seed: int, images: int, recipe: Recipe) -> torch.Tensor:
    """Which images each step sees: ``(steps, batch)`` int64, epoch after epoch, last one dropped.

    Raises:
        ValueError: a batch larger than the data set.
    """
    per_epoch = images // recipe.batch
    if per_epoch == 0:
        raise ValueError(f"a batch of {recipe.batch} does not fit in {images} training images")
    generator = stream(seed, "order")
    epochs = -(-recipe.steps // per_epoch)  # rounded up
    used = per_epoch * recipe.batch
    drawn = [torch.randperm(images, generator=generator)[:used] for _ in range(max(epochs, 1))]
    return torch.cat(drawn).view(-1, recipe.batch)[: recipe.steps]
