"""Outputs of linear layers at the start, on the images that a data-dependent start looks at."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from initcheck.initializers.data_dependent import IMAGES
from initcheck.training.train import Trained


def layer_variance_error(trained: Trained) -> Tensor:
    """Largest distance of the variance of a linear layer's outputs from one, at the start."""
    return _worst(trained, by_unit=False)


def unit_moment_error(trained: Trained) -> Tensor:
    """Largest distance of a unit's mean from 0 or of its variance from 1, at the start."""
    return _worst(trained, by_unit=True)


def _worst(trained: Trained, *, by_unit: bool) -> Tensor:
    images = trained.data.train_inputs[:IMAGES]
    errors = []
    for seed in trained.seeds:
        outputs = _outputs(trained.arm.build(seed).to(trained.device), images)
        errors.append(torch.stack([_error(out, by_unit=by_unit) for out in outputs]).amax().cpu())
    return torch.stack(errors)


@torch.no_grad()
def _outputs(module: nn.Module, images: Tensor) -> list[Tensor]:
    """The outputs of each linear layer, ``(N, O)`` float64."""
    seen: list[Tensor] = []
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            layer.register_forward_hook(lambda m, given, out: seen.append(out.double()))
    module(images)
    return seen


def _error(outputs: Tensor, *, by_unit: bool) -> Tensor:
    if not by_unit:
        return (outputs.var() - 1).abs()
    return torch.maximum(outputs.mean(0).abs().amax(), (outputs.var(0) - 1).abs().amax())
