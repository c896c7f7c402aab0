"""Restricted Boltzmann machines, trained greedily layer by layer, as the start of a deep network.

A machine has visible units v and hidden units h in {0, 1} and the energy
-v Wᵀ h - a v - b h; the arithmetic is float64 whatever the network's dtype, so that a sampled unit
hardly ever falls on the other side of its threshold because of rounding. Letters: B images a batch,
V visible and H hidden units.

Sources: contrastive divergence, Hinton 2002, Neural Computation 14, 1771; layer after layer,
Hinton, Osindero & Teh 2006, Neural Computation 18, 1527, section 4; the visible biases, Hinton
2010, A Practical Guide to Training Restricted Boltzmann Machines, section 8.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck import datasets
from initcheck.initializers.factory import InitializerError
from initcheck.initializers.rules import Initializer, glorot

START_STD = 0.01  # of the weights, the guide's section 8
RAREST = 1e-2  # a pixel that is never lit still gets a finite bias: p is kept in [.01, .99]


@dataclass
class Machine:
    """One restricted Boltzmann machine, float64, changed in place by ``cd1``.

    Attributes:
        weight: ``(H, V)``, laid out as the weight of ``nn.Linear(V, H)``.
        hidden_bias: ``(H,)``.
        visible_bias: ``(V,)``.
        errors: reconstruction error an image, a number for each epoch of training.
    """

    weight: Tensor
    hidden_bias: Tensor
    visible_bias: Tensor
    errors: list[float] = field(default_factory=list)

    def up(self, visible: Tensor) -> Tensor:
        """P(h = 1 | v): ``(B, V)`` to ``(B, H)``; Hinton, Osindero & Teh 2006, eq. 2.2."""
        return torch.addmm(self.hidden_bias, visible, self.weight.T).sigmoid_()

    def down(self, hidden: Tensor) -> Tensor:
        """P(v = 1 | h): ``(B, H)`` to ``(B, V)``."""
        return torch.addmm(self.visible_bias, hidden, self.weight).sigmoid_()


def log_odds(inputs: Tensor) -> Tensor:
    """log(p / (1 - p)) of the mean p of each visible unit: ``(N, V)`` to ``(V,)``.

    With these biases and no weights, a machine answers with the mean image.
    """
    return torch.logit(inputs.mean(0), eps=RAREST)


def machine(inputs: Tensor, hidden: int, generator: torch.Generator) -> Machine:
    """An untrained machine for ``(N, V)`` inputs: small weights, visible biases from the means."""
    weight = torch.empty(hidden, inputs.shape[1], dtype=torch.float64)
    weight.normal_(std=START_STD, generator=generator)
    return Machine(weight, torch.zeros(hidden, dtype=torch.float64), log_odds(inputs))


def cd1(machine: Machine, batch: Tensor, *, lr: float, generator: torch.Generator) -> Tensor:
    """One step of contrastive divergence on ``(B, V)``; returns the reconstruction ``(B, V)``.

    The hidden units are sampled once, everything else is a probability: dW is proportional to
    <h v> of the data less <h v> of the reconstruction (Hinton 2002, eq. 3.2 with one step).
    """
    hidden = machine.up(batch)
    uniform = torch.rand(hidden.shape, generator=generator, dtype=hidden.dtype)
    again = machine.down((uniform < hidden).to(hidden.dtype))
    answer = machine.up(again)
    rate = lr / len(batch)
    machine.weight.addmm_(hidden.T, batch, alpha=rate).addmm_(answer.T, again, alpha=-rate)
    machine.hidden_bias.add_((hidden - answer).sum(0), alpha=rate)
    machine.visible_bias.add_((batch - again).sum(0), alpha=rate)
    return again


def fit(inputs: Tensor, hidden: int, schedule: Schedule, generator: torch.Generator) -> Machine:
    """A machine with ``hidden`` units trained on ``(N, V)`` float64 inputs."""
    found = machine(inputs, hidden, generator)
    for _ in range(schedule.epochs):
        order, error = torch.randperm(len(inputs), generator=generator), torch.zeros(()).double()
        for batch in torch.split(inputs[order], schedule.batch):
            again = cd1(found, batch, lr=schedule.lr, generator=generator)
            error += F.mse_loss(again, batch, reduction="sum")
        found.errors.append(float(error) / len(inputs))
    return found


@dataclass(frozen=True)
class Schedule:
    """How every machine is trained.

    Attributes:
        epochs: passes over the images.
        images: how many of the data set's training images are seen, from the first on.
        batch: images a step.
        lr: learning rate, for a gradient that is a mean over the batch.
        pool: sides of the squares of pixels that are averaged into one, as a pooling layer before
            the first linear one does.
    """

    epochs: int = 3
    images: int = 2000
    batch: int = 20
    lr: float = 0.1
    pool: int = 1

    def __str__(self) -> str:
        pooled = f" pooled by {self.pool}" if self.pool > 1 else ""
        images = f"{self.images} images{pooled}"
        return f"{self.epochs} epochs of {images}, batch {self.batch}, lr {self.lr:g}"

    def inputs(self, data: str) -> Tensor:
        """What the lowest machine sees of this data set: ``(N, V)`` float64 in [0, 1]."""
        return _pooled(datasets.load(data), self.images, self.pool)


@functools.lru_cache(maxsize=4)  # every machine of every seed asks
def _pooled(data: datasets.DataSet, images: int, pool: int) -> Tensor:
    return F.avg_pool2d(data.train_inputs[:images], pool).flatten(1).double()


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

    remembers: ClassVar[bool] = True

    schedule: Schedule = field(default_factory=Schedule)
    data: str = "mnist5k"
    rest: Initializer = glorot

    @torch.no_grad()
    def __call__(self, module: nn.Module, generator: torch.Generator) -> None:
        """Fill the parameters in place.

        Raises:
            InitializerError: where the network is not a stack of sigmoid layers, its first layer
                has not as many inputs as the images have pixels, or a pattern of ``but`` matches no
                parameter.
        """
        self._require_matches(module)
        hidden = hidden_layers(module, self.name)
        widths = tuple(layer.out_features for layer in hidden)
        machines = self.machines(widths, generator)
        _check_pixels(hidden[0].in_features, machines[0].weight.shape[1], self.name)
        self.rest(module, generator)
        for layer, found in zip(hidden, machines, strict=True):
            layer.weight.copy_(found.weight)
            layer.bias.copy_(found.hidden_bias)
        super().__call__(module, generator)

    def machines(self, widths: Sequence[int], generator: torch.Generator) -> tuple[Machine, ...]:
        """One machine a hidden layer, each trained on what the one below it answers.

        Takes one number from the generator, the same as ``__call__`` takes first.
        """
        seed = int(torch.randint(2**63 - 1, (), generator=generator))
        return _stack(self.data, self.schedule, tuple(widths), seed)


def pretrained(schedule: Schedule, data: str = "mnist5k", rest: Initializer = glorot) -> Pretrained:
    """A ``Pretrained`` whose name says all that it depends on."""
    name = f"CD-1 pretraining, {schedule}, {data}, output {rest.name}"
    return Pretrained(name, schedule=schedule, data=data, rest=rest)


def _check_pixels(inputs: int, pixels: int, name: str) -> None:
    if inputs != pixels:
        raise InitializerError(
            f'The initializer "{name}" trains its lowest machine on images of {pixels} pixels, and '
            f"the network's first layer has {inputs} inputs. Choose the schedule's `pool` to be "
            "what the network's pooling layer has."
        )


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


@functools.lru_cache(maxsize=128)  # starts are built again for templates, and read by probes
def _stack(
    data: str, schedule: Schedule, widths: tuple[int, ...], seed: int
) -> tuple[Machine, ...]:
    """Each machine has a stream of its own, so that deeper stacks begin with the shallower ones."""
    if not widths:
        return ()
    below = _stack(data, schedule, widths[:-1], seed)
    key = np.random.SeedSequence([seed, len(below)]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(key >> 1))
    inputs = schedule.inputs(data)
    for lower in below:
        inputs = lower.up(inputs)
    return (*below, fit(inputs, widths[-1], schedule, generator))


def forget() -> None:
    """Drop the machines that this process has trained, so that they are trained again."""
    _stack.cache_clear()
