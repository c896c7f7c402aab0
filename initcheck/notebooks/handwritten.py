"""Notebook 003 as it was written by hand: network, gradients and optimizers, faults included.

The network is 784-512-1024-128-10 with ReLU, CELU, SiLU and softmax. It is not written with
autograd, because what the notebook recorded are the effects of gradients that are wrong.
Letters: B batch, I inputs of a layer, O outputs of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from initcheck.arms import stream
from initcheck.datasets import DataSet
from initcheck.initializers.factory import TensorInitializer
from initcheck.initializers.independent import (
    he_normal_,
    lecun_normal_,
    positive_uniform_,
    randn_,
)
from initcheck.notebooks.figures import Figures

WIDTHS = (784, 512, 1024, 128, 10)
SMALLEST = 1e-8  # probabilities are clamped there, so no image costs more than 18.42 nats
EPSILON = 1e-8  # beside the roots of RMSProp and Adam
FLOOR = -40.0  # exp(-40) is lost beside 1 in float32; without it, numbers too small slow it tenfold
STARTS: dict[str, tuple[TensorInitializer, ...]] = {
    "randn": (randn_,) * 4,
    "xavier": (lecun_normal_,) * 4,  # the notebook's name for a variance of 1 / fan_in
    "he": (he_normal_,) * 4,
    "heuristic": (he_normal_, *(lecun_normal_,) * 3),  # as meant: He behind ReLU only
    "xavier-uniform": (positive_uniform_("lecun"),) * 4,
    "he-uniform": (positive_uniform_("he"),) * 4,
}
FAULTS = ("celu", "dropout", "adam")


@dataclass(frozen=True)
class Handwritten:
    """One run of notebook 003.

    Attributes:
        start: a key of ``STARTS``.
        optimizer: ``sgd`` (with ``momentum``), ``rmsprop`` or ``adam``.
        keep: probability that the inputs of each layer are kept by dropout.
        decay: share that every parameter loses at each step, whatever the learning rate.
        faults: which of the notebook's errors are kept: ``celu`` (derivative 0 at x >= 0),
            ``dropout`` (one mask a sample), ``adam`` (the step counter counts tensors).
    """

    start: str
    optimizer: str
    lr: float
    batch: int
    epochs: int
    momentum: float = 0.0
    keep: tuple[float, ...] = (1.0,) * 4
    decay: float = 0.0
    faults: tuple[str, ...] = FAULTS

    def __post_init__(self) -> None:
        if self.start not in STARTS or self.optimizer not in UPDATES:
            raise ValueError(f"there is no start or optimizer like that of {self}")
        if unknown := set(self.faults) - set(FAULTS):
            raise ValueError(f"{', '.join(sorted(unknown))} is none of {', '.join(FAULTS)}")

    def run(self, data: DataSet, seed: int, progress: Callable[[str], None]) -> Figures:
        """Running training figures of every epoch, and the test's at the end."""
        network = Network.fresh(self, seed)
        order, masks = stream(seed, "order"), stream(seed, "twin")
        figures = Figures()
        for epoch in range(1, self.epochs + 1):
            indices = torch.randperm(len(data.train_targets), generator=order)
            seen = [
                network.step(data.train_inputs[some].flatten(1), data.train_targets[some], masks)
                for some in indices.view(-1, self.batch)  # it divides 60,000
            ]
            loss, accuracy = torch.tensor(seen, dtype=torch.float64).mean(0).tolist()
            figures.add(epoch, train_loss=loss, train_accuracy=accuracy)
            progress(f"epoch {epoch}: loss {loss:.4f}, accuracy {accuracy:.4f}")
        loss, accuracy = network.test(data)
        figures.add(self.epochs, test_loss=loss, test_accuracy=accuracy)
        return _with_gaps(figures, self.epochs)


def _with_gaps(figures: Figures, epochs: int) -> Figures:
    """The notebook's closing differences, between the best of training and the test."""
    best_loss = min(figures.curve("train_loss").values())
    best_accuracy = max(figures.curve("train_accuracy").values())
    figures.add(
        epochs,
        loss_gap=abs(best_loss - figures.curve("test_loss")[epochs]),
        accuracy_gap=abs(best_accuracy - figures.curve("test_accuracy")[epochs]),
    )
    return figures


@dataclass
class Network:
    """Parameters, and what the optimizer remembers of each."""

    settings: Handwritten
    weights: list[Tensor]  # (O, I) a layer
    biases: list[Tensor]  # (O,) a layer
    memory: dict[str, list[Tensor]] = field(default_factory=dict)
    counted: int = 0

    @classmethod
    def fresh(cls, settings: Handwritten, seed: int) -> Network:
        """Weights by the start's laws, biases zero."""
        generator = stream(seed, "weights")
        weights = [
            law(torch.empty(outputs, inputs), generator)
            for law, inputs, outputs in zip(
                STARTS[settings.start], WIDTHS[:-1], WIDTHS[1:], strict=True
            )
        ]
        return cls(settings, weights, [torch.zeros(len(weight)) for weight in weights])

    @property
    def tensors(self) -> list[Tensor]:
        """Weights and biases, layer by layer: the order in which the step counter meets them."""
        return [t for pair in zip(self.weights, self.biases, strict=True) for t in pair]

    def remembered(self, what: str) -> list[Tensor]:
        """A moment of every tensor, zero at first."""
        if what not in self.memory:
            self.memory[what] = [torch.zeros_like(t) for t in self.tensors]
        return self.memory[what]

    def forward(self, x: Tensor, masks: Sequence[Tensor | None]) -> tuple[list[Tensor], Tensor]:
        """Pre-activations ``(B, O)`` of every layer, and the inputs' class probabilities."""
        before: list[Tensor] = []
        for layer, mask in enumerate(masks):
            h = activation(layer, before[-1]) if before else x
            dropped = h if mask is None else h * mask
            before.append(torch.addmm(self.biases[layer], dropped, self.weights[layer].T))
        return before, before[-1].softmax(1).clamp(SMALLEST)

    def step(self, x: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[float, float]:
        """One update; the loss and the accuracy on this batch before it."""
        masks = self._masks(len(x), generator)
        before, probabilities = self.forward(x, masks)
        loss = -probabilities.gather(1, targets[:, None]).log().mean()
        right = (probabilities.argmax(1) == targets).double().mean()
        gradients = self._gradients(x, before, probabilities, (targets, masks))
        UPDATES[self.settings.optimizer](self, gradients)
        return float(loss), float(right)

    def _masks(self, batch: int, generator: torch.Generator) -> list[Tensor | None]:
        """Inverted dropout: per unit, or with the notebook's fault per sample."""
        masks: list[Tensor | None] = []
        for keep, width in zip(self.settings.keep, WIDTHS[:-1], strict=True):
            units = 1 if "dropout" in self.settings.faults else width
            kept = torch.rand(batch, units, generator=generator) < keep if keep < 1 else None
            masks.append(None if kept is None else kept.float() / keep)
        return masks

    def _gradients(
        self,
        x: Tensor,
        before: Sequence[Tensor],
        probabilities: Tensor,
        about: tuple[Tensor, Sequence[Tensor | None]],
    ) -> list[Tensor]:
        """Of every tensor, in the order of ``tensors``."""
        targets, masks = about
        delta = probabilities.clone()  # (B, classes)
        delta[torch.arange(len(x)), targets] -= 1
        delta /= len(x)
        found: list[Tensor] = []
        for layer in reversed(range(len(before))):
            h = activation(layer, before[layer - 1]) if layer else x
            mask = masks[layer]
            if mask is not None and "dropout" not in self.settings.faults:
                h = h * mask  # the notebook kept the activations from before the mask
            found[:0] = [delta.T @ h, delta.sum(0)]
            if layer:
                back = delta @ self.weights[layer]
                back = back if mask is None else back * mask
                delta = back * derivative(layer, before[layer - 1], self.settings.faults)
        return found

    def test(self, data: DataSet) -> tuple[float, float]:
        """Loss and accuracy on the test images, without dropout."""
        _, probabilities = self.forward(data.test_inputs.flatten(1), [None] * 4)
        loss = -probabilities.gather(1, data.test_targets[:, None]).log().double().mean()
        right = (probabilities.argmax(1) == data.test_targets).double().mean()
        return float(loss), float(right)


def activation(layer: int, a: Tensor) -> Tensor:
    """What layer 1 (ReLU), 2 (CELU) or 3 (SiLU) gives for its pre-activations."""
    functions = (torch.relu, torch.celu, torch.nn.functional.silu)
    h: Tensor = functions[layer - 1](a.clamp(FLOOR))
    return h


def derivative(layer: int, a: Tensor, faults: Sequence[str]) -> Tensor:
    """The notebook's derivatives; ReLU's is 1 at zero, and CELU's is wrong among the faults."""
    if layer == 1:
        return (a >= 0).float()
    if layer == 2:
        slope = 0.0 if "celu" in faults else 1.0
        return torch.where(a >= 0, slope, a.clamp(FLOOR, 0).exp())
    a = a.clamp(FLOOR)
    sigmoid = a.sigmoid()
    return sigmoid * (1 + a * (1 - sigmoid))


def _sgd(network: Network, gradients: list[Tensor]) -> None:
    settings = network.settings
    step = gradients
    if settings.momentum:
        step = network.remembered("velocity")
        torch._foreach_mul_(step, settings.momentum)
        torch._foreach_add_(step, gradients)
    if settings.decay:
        torch._foreach_mul_(network.tensors, 1 - settings.decay)
    torch._foreach_add_(network.tensors, step, alpha=-settings.lr)


def _rmsprop(network: Network, gradients: list[Tensor]) -> None:
    squares = network.remembered("squares")
    for tensor, g, square in zip(network.tensors, gradients, squares, strict=True):
        square.mul_(0.9).addcmul_(g, g, value=0.1)
        tensor.addcdiv_(g, square.sqrt().add_(EPSILON), value=-network.settings.lr)


def _adam(network: Network, gradients: list[Tensor]) -> None:
    means, squares = network.remembered("means"), network.remembered("squares")
    counts_tensors = "adam" in network.settings.faults
    network.counted += not counts_tensors
    for tensor, g, mean, square in zip(network.tensors, gradients, means, squares, strict=True):
        network.counted += counts_tensors  # the fault: 8 tensors, so 8 counts a step
        mean.mul_(0.9).add_(g, alpha=0.1)
        square.mul_(0.999).addcmul_(g, g, value=0.001)
        root = (square / (1 - 0.999**network.counted)).sqrt_().add_(EPSILON)
        rate = network.settings.lr / (1 - 0.9**network.counted)
        tensor.addcdiv_(mean, root, value=-rate)


UPDATES: dict[str, Callable[[Network, list[Tensor]], None]] = {
    "sgd": _sgd,
    "rmsprop": _rmsprop,
    "adam": _adam,
}
