"""Notebook 003 with its own network, gradients and optimizers, including its faults.

The network is 784-512-1024-128-10 with ReLU, CELU, SiLU and softmax. Autograd is not used, because
the notebook's figures show the effects of wrong gradients.
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
SMALLEST = 1e-8  # least probability, so the loss of an image is at most 18.42 nats
EPSILON = 1e-8  # added to the roots of RMSProp and Adam
FLOOR = -40.0  # 1 + exp(-40) is 1 in float32; subnormal numbers would make it ten times slower
STARTS: dict[str, tuple[TensorInitializer, ...]] = {
    "randn": (randn_,) * 4,
    "xavier": (lecun_normal_,) * 4,  # the notebook's name for a variance of 1 / fan_in
    "he": (he_normal_,) * 4,
    "heuristic": (he_normal_, *(lecun_normal_,) * 3),  # as intended: He only before ReLU
    "xavier-uniform": (positive_uniform_("lecun"),) * 4,
    "he-uniform": (positive_uniform_("he"),) * 4,
}
FAULTS = ("celu", "dropout", "adam")


@dataclass(frozen=True)
class Handwritten:
    """One protocol of notebook 003.

    Attributes:
        start: a key of ``STARTS``.
        optimizer: ``sgd`` (with ``momentum``), ``rmsprop`` or ``adam``.
        keep: for each layer, the probability with which dropout keeps its inputs.
        decay: share by which every parameter shrinks per step; the learning rate does not enter.
        faults: the notebook's errors to keep: ``celu`` (its derivative is 0 for x >= 0),
            ``dropout`` (it drops whole samples), ``adam`` (its step counter counts tensors).
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
            raise ValueError(
                f"start {self.start!r} or optimizer {self.optimizer!r} is unknown: starts are "
                f"{', '.join(STARTS)}; optimizers are {', '.join(UPDATES)}."
            )
        if unknown := set(self.faults) - set(FAULTS):
            raise ValueError(
                f"unknown fault {', '.join(sorted(unknown))}: use {', '.join(FAULTS)}."
            )

    def run(self, data: DataSet, seed: int, progress: Callable[[str], None]) -> Figures:
        """Running means of training figures for every epoch, and test figures at the end."""
        network = Network.fresh(self, seed)
        order, masks = stream(seed, "order"), stream(seed, "twin")
        figures = Figures()
        for epoch in range(1, self.epochs + 1):
            indices = torch.randperm(len(data.train_targets), generator=order)
            losses_and_accuracies = [
                network.step(data.train_inputs[batch].flatten(1), data.train_targets[batch], masks)
                for batch in indices.view(-1, self.batch)  # every batch size here divides 60,000
            ]
            loss, accuracy = (
                torch.tensor(losses_and_accuracies, dtype=torch.float64).mean(0).tolist()
            )
            figures.add(epoch, train_loss=loss, train_accuracy=accuracy)
            progress(f"epoch {epoch}: loss {loss:.4f}, accuracy {accuracy:.4f}")
        loss, accuracy = network.test(data)
        figures.add(self.epochs, test_loss=loss, test_accuracy=accuracy)
        return _with_gaps(figures, self.epochs)


def _with_gaps(figures: Figures, epochs: int) -> Figures:
    """Add the notebook's gaps: the best training figures minus the test figures, in magnitude."""
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
    """Parameters and the state of the optimizer."""

    settings: Handwritten
    weights: list[Tensor]  # (O, I) per layer
    biases: list[Tensor]  # (O,) per layer
    moments: dict[str, list[Tensor]] = field(default_factory=dict)
    counted: int = 0  # steps, or tensors with the fault of Adam

    @classmethod
    def fresh(cls, settings: Handwritten, seed: int) -> Network:
        """A network with weights drawn by its start, and zero biases."""
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
        """Weights and biases layer by layer, in the order in which Adam updates them."""
        return [t for pair in zip(self.weights, self.biases, strict=True) for t in pair]

    def moment(self, name: str) -> list[Tensor]:
        """A running mean of the optimizer for every tensor, zero at first."""
        if name not in self.moments:
            self.moments[name] = [torch.zeros_like(t) for t in self.tensors]
        return self.moments[name]

    def forward(self, x: Tensor, masks: Sequence[Tensor | None]) -> tuple[list[Tensor], Tensor]:
        """Pre-activations ``(B, O)`` of every layer, and class probabilities ``(B, classes)``."""
        before: list[Tensor] = []
        for layer, mask in enumerate(masks):
            h = activation(layer, before[-1]) if before else x
            dropped = h if mask is None else h * mask
            before.append(torch.addmm(self.biases[layer], dropped, self.weights[layer].T))
        return before, before[-1].softmax(1).clamp(SMALLEST)

    def step(self, x: Tensor, targets: Tensor, generator: torch.Generator) -> tuple[float, float]:
        """Make one update; return loss and accuracy on this batch before the update."""
        masks = self._masks(len(x), generator)
        before, probabilities = self.forward(x, masks)
        loss = -probabilities.gather(1, targets[:, None]).log().mean()
        right = (probabilities.argmax(1) == targets).double().mean()
        gradients = self._gradients(x, before, probabilities, (targets, masks))
        UPDATES[self.settings.optimizer](self, gradients)
        return float(loss), float(right)

    def _masks(self, batch: int, generator: torch.Generator) -> list[Tensor | None]:
        """Masks of inverted dropout: per unit, or per sample with the notebook's fault."""
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
        targets_and_masks: tuple[Tensor, Sequence[Tensor | None]],
    ) -> list[Tensor]:
        """The gradient of every tensor, in the order of ``tensors``."""
        targets, masks = targets_and_masks
        delta = probabilities.clone()  # (B, classes)
        delta[torch.arange(len(x)), targets] -= 1
        delta /= len(x)
        gradients: list[Tensor] = []
        for layer in reversed(range(len(before))):
            h = activation(layer, before[layer - 1]) if layer else x
            mask = masks[layer]
            if mask is not None and "dropout" not in self.settings.faults:
                h = h * mask  # the notebook kept the activations from before the mask
            gradients[:0] = [delta.T @ h, delta.sum(0)]
            if layer:
                back = delta @ self.weights[layer]
                back = back if mask is None else back * mask
                delta = back * derivative(layer, before[layer - 1], self.settings.faults)
        return gradients

    def test(self, data: DataSet) -> tuple[float, float]:
        """Loss and accuracy on the test images, without dropout."""
        _, probabilities = self.forward(data.test_inputs.flatten(1), [None] * 4)
        loss = -probabilities.gather(1, data.test_targets[:, None]).log().double().mean()
        right = (probabilities.argmax(1) == data.test_targets).double().mean()
        return float(loss), float(right)


def activation(layer: int, a: Tensor) -> Tensor:
    """The activation of layer 1 (ReLU), 2 (CELU) or 3 (SiLU) at these pre-activations."""
    functions = (torch.relu, torch.celu, torch.nn.functional.silu)
    h: Tensor = functions[layer - 1](a.clamp(FLOOR))
    return h


def derivative(layer: int, a: Tensor, faults: Sequence[str]) -> Tensor:
    """The notebook's derivative of ``activation``: 1 at zero for ReLU, 0 with CELU's fault."""
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
        step = network.moment("velocity")
        torch._foreach_mul_(step, settings.momentum)
        torch._foreach_add_(step, gradients)
    if settings.decay:
        torch._foreach_mul_(network.tensors, 1 - settings.decay)
    torch._foreach_add_(network.tensors, step, alpha=-settings.lr)


def _rmsprop(network: Network, gradients: list[Tensor]) -> None:
    squares = network.moment("squares")
    for tensor, g, square in zip(network.tensors, gradients, squares, strict=True):
        square.mul_(0.9).addcmul_(g, g, value=0.1)
        tensor.addcdiv_(g, square.sqrt().add_(EPSILON), value=-network.settings.lr)


def _adam(network: Network, gradients: list[Tensor]) -> None:
    means, squares = network.moment("means"), network.moment("squares")
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
