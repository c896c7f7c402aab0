"""Optimizers: the gradients they get, how they count their steps, and weight decay."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.arms import Arm, order
from initcheck.probes.probe import largest
from initcheck.training.train import Trained

IMAGES = 32  # training images whose loss is differentiated
DIRECTIONS = 4  # per parameter
SHIFT = 1e-6  # of the unit direction: truncation error 1e-6 squared, rounding 1e-16 over 1e-6
DARK = slice(0, 10)  # pixels that are black in every MNIST image, so their gradients are zero


def gradient_error(trained: Trained) -> Tensor:
    """Largest relative error of the loss's derivative against central differences, at the start.

    Taken over random directions of each parameter. Errors are divided by the gradient's norm or the
    measured slope, whichever is larger.
    """
    x, targets = trained.data.train_inputs[:IMAGES], trained.data.train_targets[:IMAGES]
    modules = [trained.arm.build(seed).to(trained.device) for seed in trained.seeds]
    return torch.tensor([_gradient_error(m, x, targets) for m in modules], dtype=torch.float64)


def _gradient_error(module: nn.Module, x: Tensor, targets: Tensor) -> float:
    torch.autograd.backward(F.cross_entropy(module(x), targets))
    generator = torch.Generator().manual_seed(0)
    errors = []
    for parameter in module.parameters():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        norm = gradient.norm()
        along = gradient if norm == 0 else gradient / norm
        for _ in range(DIRECTIONS):
            drawn = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            direction = (along + (drawn / drawn.norm()).to(x.device)) / 2
            slope = _slope(module, parameter, direction, x, targets)
            error = ((gradient * direction).sum() - slope).abs()
            # a missing gradient has norm 0; by the slope, its relative error is 1
            errors.append(error if error == 0 else error / torch.maximum(norm, slope.abs()))
    return float(torch.stack(errors).amax())  # not max(), which drops a NaN


@torch.no_grad()
def _slope(
    module: nn.Module, parameter: nn.Parameter, direction: Tensor, x: Tensor, targets: Tensor
) -> Tensor:
    """The loss's slope along a direction of one parameter, by a central difference."""
    parameter.add_(direction, alpha=SHIFT)
    above = F.cross_entropy(module(x), targets)
    parameter.sub_(direction, alpha=2 * SHIFT)
    below = F.cross_entropy(module(x), targets)
    parameter.add_(direction, alpha=SHIFT)
    return (above - below) / (2 * SHIFT)


def split_optimizer_gap(trained: Trained) -> Tensor:
    """Largest difference between training with one optimizer and with one optimizer per parameter.

    Both are trained here in plain loops, since an engine may hold all parameters in one tensor.
    """
    gaps = []
    for seed in trained.seeds:
        together, alone = (_plainly(trained, seed, split=split) for split in (False, True))
        apart = [(together[name] - alone[name]).abs().flatten() for name in alone]
        gaps.append(torch.cat(apart).amax().double().cpu())
    return torch.stack(gaps)


def _plainly(trained: Trained, seed: int, *, split: bool = False) -> dict[str, Tensor]:
    """The arm's trained parameters by name; ``split`` gives each parameter an optimizer."""
    arm: Arm = trained.arm
    module = arm.build(seed).to(trained.device)
    parts = [[p] for p in module.parameters()] if split else [list(module.parameters())]
    optimizers = [arm.recipe.optimizer.over(part) for part in parts]
    for images in order(seed, len(trained.data.train_targets), arm.recipe).to(trained.device):
        logits = module(trained.data.train_inputs[images])
        module.zero_grad()
        torch.autograd.backward(F.cross_entropy(logits, trained.data.train_targets[images]))
        for optimizer in optimizers:
            optimizer.step()
    return {name: p.detach() for name, p in module.named_parameters()}


def first_step_error(trained: Trained, layer: str) -> Tensor:
    """Relative distance of the mean first step of a layer's biases from the learning rate.

    Trained here in plain loops, with one optimizer that gets every parameter as a separate tensor.
    """
    lr = float(dict(trained.arm.recipe.optimizer.options)["lr"])  # type: ignore[arg-type] # a number
    after = [_plainly(trained, seed)[f"{layer}.bias"].cpu() for seed in trained.seeds]
    step = torch.stack(after) - trained.start[f"{layer}.bias"]
    return (step.double().abs().mean(1) / lr - 1).abs()


def decay_error(trained: Trained) -> Tensor:
    """Largest relative distance of black pixels' weights from start times (1 - lr decay)^steps."""
    options: dict[str, float] = dict(trained.arm.recipe.optimizer.options)  # type: ignore[arg-type]
    factor = (1 - options["lr"] * options["weight_decay"]) ** trained.arm.recipe.steps
    after = trained.parameters["hidden1.weight"][..., DARK].cpu().double()
    before = trained.start["hidden1.weight"][..., DARK].double()
    return largest((after / before / factor - 1).abs())
