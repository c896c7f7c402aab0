"""What tells a sound start: signal, gradient and gains by layer, and accuracy after training.

Each probe returns ``(R,)`` float64 on the CPU, one value per seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from initcheck.arms import Adam, Recipe
from initcheck.initializers import (
    Initializer,
    every,
    glorot_normal_,
    he_normal_,
    torch_default,
    zeros_,
)
from initcheck.initializers.rules import NORMALIZATIONS
from initcheck.probes.outcomes import test_accuracy
from initcheck.training.train import Trained, train_together

RATES = (3e-4, 1e-3, 3e-3)  # of Adam: a factor of ten, around the rate that is most often used
USUAL = (every(he_normal_, zeros_), every(glorot_normal_, zeros_), torch_default)
VANISHED = 308.0  # decades that a moment of exactly zero counts as, the range of float64
IMAGES = 16  # of the test set; second moments are over images and units


def decades_of_signal(trained: Trained) -> Tensor:
    """Decades between the second moments of the first and the last hidden pre-activations.

    Biases are zeroed, because they would keep up a signal that vanishes.
    """
    return changes(trained)[0].abs()


def decades_of_gradient(trained: Trained) -> Tensor:
    """Decades between the second moments of the gradient at the first and last pre-activations.

    The gradient is that of the sum of all logits with random signs; biases are zeroed.
    """
    return changes(trained)[1].abs()


def changes(trained: Trained) -> tuple[Tensor, Tensor]:
    """Decades by which signal and gradient grow through the hidden layers, two of ``(R,)``.

    The signal is followed from the first layer to the last, and the gradient back. One that arrives
    as exactly zero has shrunk by 308 decades.
    """
    moments = [*_moments(trained)]
    signal = torch.stack([_growth(s[0], s[-1]) for s, _ in moments])
    gradient = torch.stack([_growth(g[-1], g[0]) for _, g in moments])
    return signal, gradient


def _growth(first: Tensor, last: Tensor) -> Tensor:
    """By how many decades the second moment grows."""
    return torch.where(last == 0, -VANISHED, (last / first).log10())


def _moments(trained: Trained) -> Iterator[tuple[Tensor, Tensor]]:
    """The second moments of signal and gradient by hidden layer, one replica after the other.

    A layer is a part of the network with parameters, other than a norm and the output.
    """
    module = trained.arm.build(trained.seeds[0]).double().eval()
    seen: list[Tensor] = []
    for name, layer in module.named_children():
        weighted = next(layer.parameters(), None) is not None
        if weighted and name != "output" and not isinstance(layer, NORMALIZATIONS):
            layer.register_forward_hook(lambda _m, _i, output: seen.append(output))
    images = trained.data.test_inputs[:IMAGES].cpu().double()
    generator = torch.Generator().manual_seed(0)
    signs = torch.randint(2, (IMAGES, trained.data.classes), generator=generator).double() * 2 - 1
    for replica in range(len(trained.seeds)):
        state = {name: _without_bias(name, p[replica]) for name, p in trained.start.items()}
        seen.clear()
        logits = torch.func.functional_call(module, state, (images,))
        gradients = torch.autograd.grad((logits * signs).sum(), seen)
        yield _second(seen), _second(gradients)


def _without_bias(name: str, parameter: Tensor) -> Tensor:
    kept = parameter.double().cpu()
    return (torch.zeros_like(kept) if name.endswith("bias") else kept).requires_grad_()


def _second(tensors: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    return torch.stack([tensor.detach().square().mean() for tensor in tensors])


def start_nats(trained: Trained) -> Tensor:
    """ln(classes), the loss of guessing, less the loss before the first step, in nats."""
    return math.log(trained.data.classes) - trained.losses[:, 0]


def spread_of_gains(trained: Trained) -> Tensor:
    """Decades between the largest and smallest gain² of a layer, without the output layer.

    The gain² of a layer is the mean squared norm of the weights that enter a unit: the factor by
    which it multiplies the second moment of inputs that are independent. A gain of exactly zero
    counts as 308 decades, whatever the other gains are.
    """
    gains = torch.stack([*gains_of(trained).values()])  # (L, R)
    decades = gains.log10()
    return torch.where((gains == 0).any(0), VANISHED, decades.amax(0) - decades.amin(0))


def gains_of(trained: Trained) -> dict[str, Tensor]:
    """The gain² of each linear and convolutional layer but the output, ``(R,)`` per layer."""
    module = trained.arm.network.fresh(0)
    return {
        name: trained.start[f"{name}.weight"].double().square().flatten(1).mean(1) * entering(layer)
        for name, layer in module.named_modules()
        if isinstance(layer, LAYERS) and name != "output"
    }


LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def entering(layer: nn.Module) -> float:
    """The number of weights that enter a unit; for a transposed convolution, their mean."""
    if isinstance(layer, nn.ConvTranspose2d):
        kernel = layer.weight.shape[2:].numel() / (layer.stride[0] * layer.stride[1])
        return layer.in_channels // layer.groups * kernel
    weight = layer.weight
    assert isinstance(weight, Tensor)  # noqa: S101 -- of every layer in LAYERS
    return float(weight.shape[1:].numel())


def behind_the_usual(trained: Trained) -> Tensor:
    """How far its test accuracy is behind the best of He's, Glorot's and torch's default start.

    Each of the four has the best of three learning rates of Adam for this seed, and the arm's
    network, batch and number of steps. Shares; below 0 if the arm is the most accurate.
    """
    own, *usual = _at_best_rates(trained, (trained.arm.initializer, *USUAL))
    return torch.stack(usual).amax(0) - own


def _at_best_rates(trained: Trained, initializers: Sequence[Initializer]) -> list[Tensor]:
    """The best accuracy over the learning rates for each initializer, ``(R,)``."""
    found: list[list[Tensor]] = []
    for rate in RATES:
        recipe = Recipe(Adam(lr=rate), trained.arm.recipe.batch, trained.arm.recipe.steps)
        arms = [replace(trained.arm, initializer=each, recipe=recipe) for each in initializers]
        wanted = dict.fromkeys(arms, trained.seeds)  # one that is given twice is trained once
        done = train_together(wanted, trained.data, device=trained.device)
        accuracies = dict(zip(wanted, map(test_accuracy, done), strict=True))
        found.append([accuracies[arm] for arm in arms])
    return [torch.stack(of_one).amax(0) for of_one in zip(*found, strict=True)]
