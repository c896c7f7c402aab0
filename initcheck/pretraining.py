"""Restricted Boltzmann machines, trained greedily layer by layer, as the start of a deep network.

A machine has visible units v and hidden units h in {0, 1} and the energy
-v Wᵀ h - a v - b h; the arithmetic is float64 whatever the network's dtype, so that a sampled unit
hardly ever falls on the other side of its threshold because of rounding. Machines of several seeds
are trained together, since one alone leaves a processor idle between its small products; each draws
from a generator of its own. Letters: R machines, N images, B images a batch, V visible and H hidden
units; a tensor of one machine has no R.

Sources: contrastive divergence, Hinton 2002, Neural Computation 14, 1771; layer after layer,
Hinton, Osindero & Teh 2006, Neural Computation 18, 1527, section 4; the visible biases, Hinton
2010, A Practical Guide to Training Restricted Boltzmann Machines, section 8.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from initcheck import datasets
from initcheck.initializers import Initializer, InitializerError, glorot

REMEMBERED = 256  # stacks: those of every layer of 64 seeds
START_STD = 0.01  # of the weights, the guide's section 8
RAREST = 1e-2  # a pixel that is never lit still gets a finite bias: p is kept in [.01, .99]


@dataclass
class Machine:
    """One restricted Boltzmann machine, float64, or R of them; changed in place by ``cd1``.

    Attributes:
        weight: ``(R, H, V)``, laid out as the weight of ``nn.Linear(V, H)``.
        hidden_bias: ``(R, H)``.
        visible_bias: ``(R, V)``.
        errors: of one machine, reconstruction error an image, a number for each epoch of training.
    """

    weight: Tensor
    hidden_bias: Tensor
    visible_bias: Tensor
    errors: list[float] = field(default_factory=list)

    def up(self, visible: Tensor) -> Tensor:
        """P(h = 1 | v): ``(R, B, V)`` to ``(R, B, H)``; Hinton, Osindero & Teh 2006, eq. 2.2."""
        return torch.sigmoid(visible @ self.weight.mT + self.hidden_bias[..., None, :])

    def down(self, hidden: Tensor) -> Tensor:
        """P(v = 1 | h): ``(R, B, H)`` to ``(R, B, V)``."""
        return torch.sigmoid(hidden @ self.weight + self.visible_bias[..., None, :])

    def one(self, r: int, errors: Tensor) -> Machine:
        """The r-th machine by itself, with its errors."""
        return Machine(
            self.weight[r].clone(), self.hidden_bias[r].clone(), self.visible_bias[r].clone(),
            errors.tolist(),
        )  # fmt: skip


Stack = tuple[Machine, ...]


def log_odds(inputs: Tensor) -> Tensor:
    """log(p / (1 - p)) of the mean p of each visible unit: ``(R, N, V)`` to ``(R, V)``.

    With these biases and no weights, a machine answers with the mean image.
    """
    return torch.logit(inputs.mean(-2), eps=RAREST)


def machine(inputs: Tensor, hidden: int, generators: Sequence[torch.Generator]) -> Machine:
    """Untrained machines for ``(R, N, V)`` inputs: small weights, visible biases from the means."""
    shape = hidden, inputs.shape[-1]
    drawn = [torch.randn(shape, generator=g, dtype=torch.float64) for g in generators]
    biases = torch.zeros(len(drawn), hidden, dtype=torch.float64)
    return Machine(torch.stack(drawn).mul_(START_STD), biases, log_odds(inputs))


def cd1(machine: Machine, batch: Tensor, *, lr: float, uniform: Tensor) -> Tensor:
    """One step of contrastive divergence on ``(R, B, V)``; returns the reconstruction, as large.

    The hidden units are sampled once, by ``uniform`` numbers ``(R, B, H)``, everything else is a
    probability: dW is proportional to <h v> of the data less <h v> of the reconstruction (Hinton
    2002, eq. 3.2 with one step).
    """
    hidden = machine.up(batch)
    again = machine.down((uniform < hidden).to(hidden.dtype))
    answer = machine.up(again)
    rate = lr / batch.shape[-2]
    machine.weight.add_(hidden.mT @ batch, alpha=rate).add_(answer.mT @ again, alpha=-rate)
    machine.hidden_bias.add_((hidden - answer).sum(-2), alpha=rate)
    machine.visible_bias.add_((batch - again).sum(-2), alpha=rate)
    return again


def fit(
    inputs: Tensor, hidden: int, schedule: Schedule, generators: Sequence[torch.Generator]
) -> list[Machine]:
    """Machines with ``hidden`` units trained on ``(R, N, V)`` float64 inputs, each on its own."""
    found = machine(inputs, hidden, generators)
    rows = torch.arange(len(generators))[:, None]
    errors = torch.zeros(len(generators), schedule.epochs, dtype=torch.float64)
    count = inputs.shape[1]
    for epoch in range(schedule.epochs):
        order = torch.stack([torch.randperm(count, generator=g) for g in generators])  # (R, N)
        for some in torch.split(order, schedule.batch, dim=1):
            batch = inputs[rows, some]  # (R, B, V)
            size = some.shape[1], hidden
            uniform = torch.stack(
                [torch.rand(size, generator=g, dtype=batch.dtype) for g in generators]
            )
            again = cd1(found, batch, lr=schedule.lr, uniform=uniform)
            errors[:, epoch] += (batch - again).square().sum((1, 2))
    return [found.one(r, errors[r] / count) for r in range(len(generators))]


@dataclass(frozen=True)
class Schedule:
    """How every machine is trained.

    Attributes:
        epochs: passes over the images.
        images: how many of the data set's training images are seen, from the first on.
        batch: images a step.
        lr: learning rate, for a gradient that is a mean over the batch.
    """

    epochs: int = 3
    images: int = 2000
    batch: int = 20
    lr: float = 0.1

    def __str__(self) -> str:
        return f"{self.epochs} epochs of {self.images} images, batch {self.batch}, lr {self.lr:g}"


@dataclass(frozen=True)
class Pretrained(Initializer):
    """Hidden linear layers start from machines stacked on one another, the rest from ``rest``.

    The images are ``datasets.load(data)``'s, without their labels; a data set that needs a root is
    looked for where ``INITCHECK_DATA_ROOT`` says. Only for networks whose hidden layers are linear
    and sigmoid, one after the other.

    Attributes:
        schedule: how every machine is trained.
        data: the name of the data set.
        rest: what the last layer starts from.
    """

    schedule: Schedule = field(default_factory=Schedule)
    data: str = "mnist5k"
    rest: Initializer = glorot

    @torch.no_grad()
    def __call__(self, module: nn.Module, generator: torch.Generator) -> None:
        """Fill the parameters in place.

        Raises:
            InitializerError: where the network is not a stack of sigmoid layers.
        """
        hidden = hidden_layers(module, self.name)
        widths = tuple(layer.out_features for layer in hidden)
        machines = self.machines(widths, generator)
        self.rest(module, generator)
        for layer, found in zip(hidden, machines, strict=True):
            layer.weight.copy_(found.weight)
            layer.bias.copy_(found.hidden_bias)

    def prepare(
        self, build: Callable[[], nn.Module], generators: Sequence[torch.Generator]
    ) -> None:
        """Train the machines of all these starts together, and remember them."""
        widths = [layer.out_features for layer in hidden_layers(build(), self.name)]
        _STACKS.of(self.data, self.schedule, tuple(widths), [_drawn(g) for g in generators])

    def machines(self, widths: Sequence[int], generator: torch.Generator) -> tuple[Machine, ...]:
        """One machine a hidden layer, each trained on what the one below it answers.

        Takes one number from the generator, the same as ``__call__`` takes first.
        """
        return _STACKS.of(self.data, self.schedule, tuple(widths), [_drawn(generator)])[0]


def _drawn(generator: torch.Generator) -> int:
    """The seed of a start's machines."""
    return int(torch.randint(2**63 - 1, (), generator=generator))


def pretrained(schedule: Schedule, data: str = "mnist5k", rest: Initializer = glorot) -> Pretrained:
    """A ``Pretrained`` whose name says all that it depends on."""
    name = f"CD-1 pretraining, {schedule}, {data}, output {rest.name}"
    return Pretrained(name, schedule=schedule, data=data, rest=rest)


def hidden_layers(module: nn.Module, name: str) -> list[nn.Linear]:
    """The linear layers below the last one.

    Raises:
        InitializerError: fewer than two linear layers, one without biases, or no sigmoid behind.
    """
    leaves = [leaf for leaf in module.modules() if not next(leaf.children(), None)]
    linear = [leaf for leaf in leaves if isinstance(leaf, nn.Linear)]
    behind = [leaves[leaves.index(layer) + 1] for layer in linear[:-1]]
    if not behind or not all(isinstance(leaf, nn.Sigmoid) for leaf in behind):
        raise InitializerError(
            f'The initializer "{name}" stacks machines of binary units: every hidden layer has to '
            "be nn.Linear with nn.Sigmoid behind it, and there must be one."
        )
    if any(layer.bias is None for layer in linear[:-1]):
        raise InitializerError(f'The initializer "{name}" needs biases in every hidden layer.')
    return linear[:-1]


class _Stacks:
    """Machines once trained: starts are built again for templates, and read by probes."""

    def __init__(self) -> None:
        self.known: OrderedDict[tuple[str, Schedule, tuple[int, ...], int], Stack] = OrderedDict()

    def of(
        self, data: str, schedule: Schedule, widths: tuple[int, ...], seeds: Sequence[int]
    ) -> list[Stack]:
        """The stack of each seed; those that are missing are trained together."""
        keys = [(data, schedule, widths, seed) for seed in seeds]
        missing = [seed for key, seed in zip(keys, seeds, strict=True) if key not in self.known]
        for seed, stack in zip(
            missing, self._trained(data, schedule, widths, missing), strict=True
        ):
            self.known[data, schedule, widths, seed] = stack
        found = [self.known[key] for key in keys]
        while len(self.known) > REMEMBERED:
            self.known.popitem(last=False)
        return found

    def _trained(
        self, data: str, schedule: Schedule, widths: tuple[int, ...], seeds: Sequence[int]
    ) -> list[Stack]:
        """Each machine has a stream of its own, so that deeper stacks begin with shallower ones."""
        if not (widths and seeds):
            return [() for _ in seeds]
        below = self.of(data, schedule, widths[:-1], seeds)
        images = datasets.load(data).train_inputs[: schedule.images].flatten(1).double()  # (N, V)
        inputs = images.expand(len(seeds), -1, -1)  # (R, N, V), no copy
        if below[0]:
            inputs = torch.stack([functools.reduce(_up, stack, images) for stack in below])
        generators = [_stream(seed, len(widths) - 1) for seed in seeds]
        top = fit(inputs, widths[-1], schedule, generators)
        return [(*lower, found) for lower, found in zip(below, top, strict=True)]


def _up(inputs: Tensor, machine: Machine) -> Tensor:
    return machine.up(inputs)


def _stream(seed: int, layer: int) -> torch.Generator:
    key = np.random.SeedSequence([seed, layer]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(key >> 1))


_STACKS = _Stacks()
