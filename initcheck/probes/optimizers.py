"""Arithmetic: derivatives, the optimizer's own count of its steps, weight decay."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.arms import Arm, order
from initcheck.probes.probe import largest
from initcheck.training.train import Trained

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
    errors = []
    for parameter in module.parameters():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        norm = gradient.norm()
        ahead = gradient if norm == 0 else gradient / norm
        for _ in range(DIRECTIONS):
            drawn = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            direction = (ahead + (drawn / drawn.norm()).to(x.device)) / 2
            slope = _slope(module, parameter, direction, x, targets)
            error = ((gradient * direction).sum() - slope).abs()
            # a gradient that is missing is as wrong as the slope is steep: by all of it
            errors.append(error if error == 0 else error / torch.maximum(norm, slope.abs()))
    return float(torch.stack(errors).amax())  # not max(), which drops a NaN


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
    """Largest difference between one optimizer of all parameters and one for each parameter.

    Both trained here, module by module: an engine may keep all parameters in one tensor.
    """
    gaps = []
    for seed in trained.seeds:
        together, alone = (_plainly(trained, seed, split=split) for split in (False, True))
        apart = [(together[name] - alone[name]).abs().flatten() for name in alone]
        gaps.append(torch.cat(apart).amax().double().cpu())
    return torch.stack(gaps)


def _plainly(trained: Trained, seed: int, *, split: bool = False) -> dict[str, Tensor]:
    """The arm's parameters by name, trained by one optimizer, or split by one for each."""
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
    """How far the mean first step of a layer's biases is from the learning rate, relatively.

    Of one optimizer that is given every parameter as a tensor of its own.
    """
    lr = float(dict(trained.arm.recipe.optimizer.options)["lr"])  # type: ignore[arg-type] # a number
    after = [_plainly(trained, seed)[f"{layer}.bias"].cpu() for seed in trained.seeds]
    step = torch.stack(after) - trained.start[f"{layer}.bias"]
    return (step.double().abs().mean(1) / lr - 1).abs()


def decay_error(trained: Trained) -> Tensor:
    """Largest relative distance of unlit pixels' weights from (1 - lr decay)ᵀ of their start."""
    options: dict[str, float] = dict(trained.arm.recipe.optimizer.options)  # type: ignore[arg-type]
    factor = (1 - options["lr"] * options["weight_decay"]) ** trained.arm.recipe.steps
    after = trained.parameters["hidden1.weight"][..., DARK].cpu().double()
    before = trained.start["hidden1.weight"][..., DARK].double()
    return largest((after / before / factor - 1).abs())
