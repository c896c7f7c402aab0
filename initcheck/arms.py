"""Arms: a network, an initializer, a recipe and a data set, as frozen values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache, partial

import numpy as np
import torch
from torch import nn

from initcheck.initializers import Initializer
from initcheck.initializers.fill import fill
from initcheck.networks import Network

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Optimizer:
    """An optimizer of ``torch.optim`` and its options.

    Attributes:
        name: the name of a class in ``torch.optim``, or a label if ``kind`` is given.
        options: the keyword arguments of the class, sorted by name.
        kind: a custom optimizer class, used in place of ``torch.optim``'s.
    """

    name: str
    options: tuple[tuple[str, float | bool | tuple[float, ...]], ...] = ()
    kind: Callable[..., torch.optim.Optimizer] | None = None

    def over(
        self, parameters: Iterable[torch.Tensor | dict[str, list[torch.Tensor]]], **engine: bool
    ) -> torch.optim.Optimizer:
        """Return the optimizer of these parameters, or groups of them.

        ``engine``: an engine's options (``fused``).
        """
        kind: Callable[..., torch.optim.Optimizer] = self.kind or getattr(torch.optim, self.name)
        return kind(list(parameters), **dict(self.options), **engine)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{key}={value}' for key, value in self.options)})"


def optimizer(name: str, /, **options: float | bool | tuple[float, ...]) -> Optimizer:
    """Return the optimizer of ``torch.optim`` with this name and these options.

    Raises:
        ValueError: torch has no optimizer of this name.
    """
    kind = getattr(torch.optim, name, None)
    if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)):
        raise ValueError(  # noqa: TRY004 -- a wrong name, not a wrong type
            f"The optimizer {name!r} was requested, but torch {torch.__version__} has none of this "
            "name in torch.optim. Use the name of a class there, such as 'SGD'."
        )
    return Optimizer(name, tuple(sorted(options.items())))


SGD = partial(optimizer, "SGD")
Adam = partial(optimizer, "Adam")
AdamW = partial(optimizer, "AdamW")
RMSprop = partial(optimizer, "RMSprop")
Adagrad = partial(optimizer, "Adagrad")


@dataclass(frozen=True)
class Recipe:
    """How an arm is trained.

    Attributes:
        optimizer: for example ``Adam(lr=1e-2)``.
        batch: images per step, drawn without replacement within an epoch.
        steps: number of optimizer steps.
        keep_at: steps after which the parameters in ``keep`` are stored for the probes.
        keep: names of these parameters.
        dtype: ``float32``, ``float64`` or ``bfloat16``: that of parameters, images and the
            optimizer's state. There are no master weights. Of logits in bfloat16, the loss is
            computed in float32.
        rates: pairs of a pattern and a factor on lr, such as ``(("hidden*", 0.25),)``. A parameter
            has the factor of the first pattern (``fnmatch``) that matches its name, or else 1.

    Raises:
        ValueError: a value is out of range, or the dtype is another one.
    """

    optimizer: Optimizer
    batch: int
    steps: int
    keep_at: tuple[int, ...] = ()
    keep: tuple[str, ...] = ()
    dtype: str = "float32"
    rates: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.batch < 1 or self.steps < 0:
            raise ValueError(f"A recipe needs batch >= 1 and steps >= 0, but this one is: {self}.")
        if self.dtype not in DTYPES:
            raise ValueError(f"The dtype {self.dtype!r} is not one of {', '.join(DTYPES)}.")
        if not all(1 <= step <= self.steps for step in self.keep_at):
            raise ValueError(
                f"keep_at is {self.keep_at}, but each of its steps must be from 1 to {self.steps}."
            )
        for pattern, factor in self.rates:
            if not (math.isfinite(factor) and factor >= 0):
                raise ValueError(
                    f"rates gives {pattern!r} the factor {factor}, but a factor on lr must be a "
                    "number of at least 0."
                )

    def __str__(self) -> str:
        rates = "".join(f", lr of {pattern} x {factor:g}" for pattern, factor in self.rates)
        return f"{self.optimizer}, batch {self.batch}, {self.steps} steps, {self.dtype}{rates}"

    def unmatched(self, names: Iterable[str]) -> tuple[str, ...]:
        """The patterns in ``rates`` that match none of these names of parameters."""
        known = list(names)
        return tuple(
            pattern for pattern, _ in self.rates
            if not any(fnmatchcase(name, pattern) for name in known)
        )  # fmt: skip

    def over(
        self, named: Iterable[tuple[str, torch.Tensor]], **engine: bool
    ) -> torch.optim.Optimizer:
        """Return the optimizer of these parameters, given by name, each with its own lr.

        Raises:
            ValueError: ``rates`` has factors on lr, and the optimizer has no lr.
        """
        if not self.rates:
            return self.optimizer.over((parameter for _, parameter in named), **engine)
        groups: dict[float, list[torch.Tensor]] = {}
        for name, parameter in named:
            groups.setdefault(self._factor(name), []).append(parameter)
        made = self.optimizer.over(({"params": each} for each in groups.values()), **engine)
        for group, factor in zip(made.param_groups, groups, strict=True):
            if "lr" not in group:
                raise ValueError(f"rates has factors on lr, and {self.optimizer.name} has no lr.")
            group["lr"] *= factor
        return made

    def _factor(self, name: str) -> float:
        matches = (factor for pattern, factor in self.rates if fnmatchcase(name, pattern))
        return next(matches, 1.0)


@dataclass(frozen=True)
class Arm:
    """One experiment. Equal arms are trained once per session, even if several claims use them.

    Attributes:
        network: what is trained.
        initializer: what its parameters start from.
        recipe: how it is trained.
        data: the name of the data set; see ``initcheck.datasets.load``.
        name: what tables call the arm; two arms that differ only in it are equal.
    """

    network: Network
    initializer: Initializer
    recipe: Recipe
    data: str = "mnist5k"
    name: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.network.name} | {self.initializer.name} | {self.recipe} | {self.data}"

    @property
    def label(self) -> str:
        """The arm's name in tables: its own, or else that of its initializer."""
        return self.name or self.initializer.name

    def build(self, seed: int) -> nn.Module:
        """Return the module at its start, on the CPU, in the recipe's dtype, in training mode.

        Raises:
            DataError: the data that the initializer learns from are missing or damaged.
            InitializerError: the initializer raised any other error.
            NetworkError: ``build`` returned no new module with values; see ``Network.fresh``.
        """
        module = self.network.fresh(derived(seed, "constructor"))
        fill(module, self.initializer, stream(seed, "weights"))
        dtype = DTYPES[self.recipe.dtype]
        tensors = (*module.parameters(), *module.buffers())
        others = (t for t in tensors if t.dtype != dtype)
        if any(t.is_floating_point() or t.is_complex() for t in others):  # moving takes long
            module.to(dtype)
        return module.train()


_PURPOSES = ("constructor", "weights", "order", "twin", "training")


@lru_cache(maxsize=2**16)  # called often with the same arguments, and numpy is slow
def derived(seed: int, purpose: str, *more: int) -> int:
    """Return a 63-bit seed for one purpose, so that the streams of two purposes never overlap."""
    key = [seed, _PURPOSES.index(purpose), *more]
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def stream(seed: int, purpose: str, *more: int) -> torch.Generator:
    """Return a CPU generator for one purpose of one replica."""
    return torch.Generator().manual_seed(derived(seed, purpose, *more))


def order(seed: int, images: int, recipe: Recipe) -> torch.Tensor:
    """Return the images of each step: ``(steps, batch)`` int64 indices.

    Every epoch is a new permutation of all images. Images that do not fill a batch at the end of an
    epoch are left out of it.

    Raises:
        ValueError: a batch is larger than the data set.
    """
    per_epoch = images // recipe.batch
    if per_epoch == 0:
        raise ValueError(
            f"The recipe needs a batch of {recipe.batch} images, but there are only {images} "
            "training images. Use a smaller batch."
        )
    generator = stream(seed, "order")
    epochs = -(-recipe.steps // per_epoch)  # rounded up
    used = per_epoch * recipe.batch
    orders = [torch.randperm(images, generator=generator)[:used] for _ in range(max(epochs, 1))]
    return torch.cat(orders).view(-1, recipe.batch)[: recipe.steps]
