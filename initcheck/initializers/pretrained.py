"""Restricted Boltzmann machines, trained greedily layer by layer, as the start of a deep network.

A machine has visible units v and hidden units h in {0, 1} and the energy -v Wᵀ h - a v - b h. It is
trained in float64 for every dtype of the network, so that rounding hardly ever moves a sampled unit
across its threshold. Shapes: N images, B images in a batch, V visible units, H hidden units.

Sources: contrastive divergence: Hinton 2002, Neural Computation 14, 1771. Greedy training: Hinton,
Osindero & Teh 2006, Neural Computation 18, 1527, section 4. Visible biases: Hinton 2010, A
Practical Guide to Training Restricted Boltzmann Machines, section 8.
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

START_STD = 0.01  # of the weights: section 8 of the practical guide
SMALLEST_MEAN = (
    1e-2  # means are clamped to [.01, .99]: a pixel that is always 0 needs a finite bias
)


@dataclass
class Machine:
    """One restricted Boltzmann machine, float64, changed in place by ``cd1``.

    Attributes:
        weight: ``(H, V)``, the layout of the weight of ``nn.Linear(V, H)``.
        hidden_bias: ``(H,)``.
        visible_bias: ``(V,)``.
        errors: for each epoch of training, the squared reconstruction error per image.
    """

    weight: Tensor
    hidden_bias: Tensor
    visible_bias: Tensor
    errors: list[float] = field(default_factory=list)

    def hidden_given(self, visible: Tensor) -> Tensor:
        """P(h = 1 | v): ``(B, V)`` to ``(B, H)``; Hinton, Osindero & Teh 2006, eq. 2.2."""
        return torch.addmm(self.hidden_bias, visible, self.weight.T).sigmoid_()

    def visible_given(self, hidden: Tensor) -> Tensor:
        """P(v = 1 | h): ``(B, H)`` to ``(B, V)``."""
        return torch.addmm(self.visible_bias, hidden, self.weight).sigmoid_()


def log_odds(inputs: Tensor) -> Tensor:
    """Return log(p / (1 - p)) of the mean p of each visible unit: ``(N, V)`` to ``(V,)``.

    A machine with these visible biases and zero weights reconstructs the mean image.
    """
    return torch.logit(inputs.mean(0), eps=SMALLEST_MEAN)


def untrained(inputs: Tensor, hidden: int, generator: torch.Generator) -> Machine:
    """Return a machine for ``(N, V)`` inputs: small weights, visible biases from their means."""
    weight = torch.empty(hidden, inputs.shape[1], dtype=torch.float64)
    weight.normal_(std=START_STD, generator=generator)
    return Machine(weight, torch.zeros(hidden, dtype=torch.float64), log_odds(inputs))


def cd1(machine: Machine, batch: Tensor, *, lr: float, generator: torch.Generator) -> Tensor:
    """Take one step of contrastive divergence on ``(B, V)``; return the reconstruction ``(B, V)``.

    The hidden units are sampled once; all other units stay probabilities. dW is proportional to
    <h v> of the data minus <h v> of the reconstruction (Hinton 2002, eq. 3.2 with one step).
    """
    hidden = machine.hidden_given(batch)  # (B, H)
    uniform = torch.rand(hidden.shape, generator=generator, dtype=hidden.dtype)
    rebuilt = machine.visible_given((uniform < hidden).to(hidden.dtype))  # (B, V)
    hidden_of_rebuilt = machine.hidden_given(rebuilt)  # (B, H)
    rate = lr / len(batch)
    machine.weight.addmm_(hidden.T, batch, alpha=rate)
    machine.weight.addmm_(hidden_of_rebuilt.T, rebuilt, alpha=-rate)
    machine.hidden_bias.add_((hidden - hidden_of_rebuilt).sum(0), alpha=rate)
    machine.visible_bias.add_((batch - rebuilt).sum(0), alpha=rate)
    return rebuilt


def fit(inputs: Tensor, hidden: int, schedule: Schedule, generator: torch.Generator) -> Machine:
    """Return a restricted Boltzmann machine, trained with CD-1 on ``(N, V)`` float64 inputs.

    It has V visible and ``hidden`` hidden units.
    """
    machine = untrained(inputs, hidden, generator)
    for _ in range(schedule.epochs):
        order = torch.randperm(len(inputs), generator=generator)
        error = torch.zeros((), dtype=torch.float64)
        for batch in torch.split(inputs[order], schedule.batch):
            rebuilt = cd1(machine, batch, lr=schedule.lr, generator=generator)
            error += F.mse_loss(rebuilt, batch, reduction="sum")
        machine.errors.append(float(error) / len(inputs))
    return machine


@dataclass(frozen=True)
class Schedule:
    """How every machine is trained.

    Attributes:
        epochs: passes over the images.
        images: how many training images are used: the first ones of the data set.
        batch: images per step.
        lr: learning rate, for a gradient that is the mean over the batch.
        pool: side of the squares of pixels that are averaged into one. Use the value of the
            network's own pooling layer, or 1 if it has none.
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
        """Return the inputs of the lowest machine: ``(N, V)`` float64 in [0, 1]."""
        return _pooled(datasets.load(data), self.images, self.pool)


@functools.lru_cache(maxsize=4)  # every machine of every seed needs them
def _pooled(data: datasets.DataSet, images: int, pool: int) -> Tensor:
    return F.avg_pool2d(data.train_inputs[:images], pool).flatten(1).double()


@dataclass(frozen=True)
class Pretrained(Initializer):
    """Hidden linear layers start from stacked machines, all other layers from ``rest``.

    The machines are trained on the images of ``datasets.load(data)``, without labels. A data set
    that needs a root is read from the folder in ``INITCHECK_DATA_ROOT``. Every hidden layer of the
    network must be linear, and followed by a sigmoid.

    Attributes:
        schedule: how every machine is trained.
        data: the name of the data set.
        rest: the initializer of the last layer.
    """

    remembers: ClassVar[bool] = True

    schedule: Schedule = field(default_factory=Schedule)
    data: str = "mnist5k"
    rest: Initializer = glorot

    @torch.no_grad()
    def __call__(self, module: nn.Module, generator: torch.Generator) -> None:
        """Fill the parameters in place.

        Raises:
            InitializerError: the network is not a stack of sigmoid layers, the number of its
                inputs is not that of the images' pixels, or a pattern of ``but`` matches no
                parameter.
        """
        self._require_matches(module)
        hidden = hidden_layers(module, self.name)
        widths = tuple(layer.out_features for layer in hidden)
        machines = self.machines(widths, generator)
        _check_pixels(hidden[0].in_features, machines[0].weight.shape[1], self.name)
        self.rest(module, generator)
        for layer, machine in zip(hidden, machines, strict=True):
            layer.weight.copy_(machine.weight)
            layer.bias.copy_(machine.hidden_bias)
        super().__call__(module, generator)

    def machines(self, widths: Sequence[int], generator: torch.Generator) -> tuple[Machine, ...]:
        """Return one machine per hidden layer, each trained on the hidden units of the one below.

        Takes one number from the generator, as ``__call__`` does first.
        """
        seed = int(torch.randint(2**63 - 1, (), generator=generator))
        return _stack(self.data, self.schedule, tuple(widths), seed)


def pretrained(schedule: Schedule, data: str = "mnist5k", rest: Initializer = glorot) -> Pretrained:
    """Return a ``Pretrained`` named after its arguments, so equal names mean equal weights."""
    name = f"CD-1 pretraining, {schedule}, {data}, output {rest.name}"
    return Pretrained(name, schedule=schedule, data=data, rest=rest)


def _check_pixels(inputs: int, pixels: int, name: str) -> None:
    if inputs != pixels:
        raise InitializerError(
            f'The initializer "{name}" pretrains on images of {pixels} pixels, but the network\'s '
            f"first linear layer has {inputs} inputs. If the network pools its images first, set "
            "`Schedule(pool=...)` to that pooling layer's kernel size, else to 1."
        )


def hidden_layers(module: nn.Module, name: str) -> list[nn.Linear]:
    """Return all linear layers but the last.

    Raises:
        InitializerError: there are fewer than two linear layers, or a hidden one has no bias or is
            not followed by a sigmoid.
    """
    leaves = [leaf for leaf in module.modules() if not next(leaf.children(), None)]
    linear = [leaf for leaf in leaves if isinstance(leaf, nn.Linear)]
    followers = [leaves[leaves.index(layer) + 1] for layer in linear[:-1]]
    if not followers or not all(isinstance(leaf, nn.Sigmoid) for leaf in followers):
        raise InitializerError(
            f'The initializer "{name}" pretrains each hidden layer as a restricted Boltzmann '
            "machine, whose units are sigmoids. Give it a network with at least one hidden layer, "
            "each an nn.Linear followed by nn.Sigmoid."
        )
    if any(layer.bias is None for layer in linear[:-1]):
        raise InitializerError(
            f'The initializer "{name}" sets the biases of every hidden layer, and this network has '
            "a hidden layer without them. Build its nn.Linear layers with bias=True."
        )
    return linear[:-1]


@functools.lru_cache(maxsize=128)  # the same starts are built for templates and read by probes
def _stack(
    data: str, schedule: Schedule, widths: tuple[int, ...], seed: int
) -> tuple[Machine, ...]:
    """Train one machine per width, from the lowest up.

    Each machine has its own random stream, so a deeper stack begins with the shallower one.
    """
    if not widths:
        return ()
    below = _stack(data, schedule, widths[:-1], seed)
    key = np.random.SeedSequence([seed, len(below)]).generate_state(1, np.uint64)[0]
    generator = torch.Generator().manual_seed(int(key >> 1))
    inputs = schedule.inputs(data)
    for machine in below:
        inputs = machine.hidden_given(inputs)
    return (*below, fit(inputs, widths[-1], schedule, generator))


def forget() -> None:
    """Drop the machines that this process has trained, so that they are trained again."""
    _stack.cache_clear()
