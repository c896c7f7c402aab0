"""Arithmetic: derivatives, the optimizer's own count of its steps, weight decay."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.probes.common import largest
from initcheck.recipes import Arm, order
from initcheck.training import Trained

IMAGES = 32  # whose loss is differentiated
DIRECTIONS = 4
SHIFT = 1e-6  # of a unit step: the truncation error is its square, rounding 1e-16 over it
DARK = slice(0, 10)  # pixels that are black in every image of MNIST: their gradients are zero


def gradient_error(trained: Trained) -> Tensor:
    """Relative error of the loss's derivative against central differences, at the start.

    The largest over random directions of each parameter, in units of its gradient's norm.
    """
    x, targets = trained.data.train_inputs[:IMAGES], trained.data.train_targets[:IMAGES]
    modules = [trained.arm.build(seed).to(trained.device) for seed in trained.seeds]
    return torch.tensor([_gradient_error(m, x, targets) for m in modules], dtype=torch.float64)


def _gradient_error(module: nn.Module, x: Tensor, targets: Tensor) -> float:
    torch.autograd.backward(F.cross_entropy(module(x), targets))
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for parameter in module.parameters():
        gradient = parameter.grad
        if gradient is None:
            continue
        for _ in range(DIRECTIONS):
            drawn = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            direction = (gradient / gradient.norm() + (drawn / drawn.norm()).to(x.device)) / 2
            slope = _slope(module, parameter, direction, x, targets)
            error = (gradient * direction).sum() - slope
            worst = max(worst, float(error.abs() / gradient.norm()))
    return worst


@torch.no_grad()
def _slope(
    module: nn.Module, parameter: nn.Parameter, direction: Tensor, x: Tensor, targets: Tensor
) -> Tensor:
    """Central difference of the loss along a direction of one parameter."""
    parameter.add_(direction, alpha=SHIFT)
    above = F.cross_entropy(module(x), targets)
    parameter.sub_(direction, alpha=2 * SHIFT)
    below = F.cross_entropy(module(x), targets)
    parameter.add_(direction, alpha=SHIFT)
    return (above - below) / (2 * SHIFT)


def split_optimizer_gap(trained: Trained) -> Tensor:
    """Largest difference from the same training with an optimizer of its own for each parameter."""
    gaps = []
    for r, seed in enumerate(trained.seeds):
        alone = dict(_train_split(trained.arm, seed, trained).named_parameters())
        apart = [(p.detach() - trained.parameters[name][r]).abs() for name, p in alone.items()]
        gaps.append(max(float(gap.max()) for gap in apart))
    return torch.tensor(gaps, dtype=torch.float64)


def _train_split(arm: Arm, seed: int, trained: Trained) -> nn.Module:
    module = arm.build(seed).to(trained.device)
    optimizers = [arm.recipe.optimizer.over([p]) for p in module.parameters()]
    for images in order(seed, len(trained.data.train_targets), arm.recipe).to(trained.device):
        logits = module(trained.data.train_inputs[images])
        module.zero_grad()
        torch.autograd.backward(F.cross_entropy(logits, trained.data.train_targets[images]))
        for optimizer in optimizers:
            optimizer.step()
    return module


def first_step_error(trained: Trained, layer: str) -> Tensor:
    """How far the mean first step of a layer's biases is from the learning rate, relatively."""
    lr = float(dict(trained.arm.recipe.optimizer.options)["lr"])  # type: ignore[arg-type] # a number
    step = trained.parameters[f"{layer}.bias"].cpu() - trained.start[f"{layer}.bias"]
    return (step.double().abs().mean(1) / lr - 1).abs()


def decay_error(trained: Trained) -> Tensor:
    """Largest relative distance of unlit pixels' weights from (1 - lr decay)ᵀ of their start."""
    options: dict[str, float] = dict(trained.arm.recipe.optimizer.options)  # type: ignore[arg-type]
    factor = (1 - options["lr"] * options["weight_decay"]) ** trained.arm.recipe.steps
    after = trained.parameters["hidden1.weight"][..., DARK].cpu().double()
    before = trained.start["hidden1.weight"][..., DARK].double()
    return largest((after / before / factor - 1).abs())
