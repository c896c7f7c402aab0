"""Dropout: what masks keep, and the accuracy that a network has under them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from initcheck.probes.probe import answered
from initcheck.training.train import Trained

SAMPLES, UNITS = 1000, 100  # size of the tensor of ones that a layer is applied to
DRAWS = 24  # passes over the test images
SURVIVAL = 0.8 * 0.8 * 0.9  # notebook 003 keeps these shares of its three hidden layers


def emptied_samples(trained: Trained) -> Tensor:
    """Largest share, over dropout layers, of samples in which no unit is kept."""
    return _largest(trained, lambda kept, p: float((kept == 0).all(1).double().mean()))


def mask_mean_error(trained: Trained) -> Tensor:
    """Largest distance from 1 of a dropout layer's mean output for ones, in standard errors."""
    return _largest(trained, _mean_error)


def _mean_error(kept: Tensor, p: float) -> float:
    return float((kept.mean() - 1).abs()) / math.sqrt(p / (1 - p) / kept.numel())


def _largest(trained: Trained, measure: Callable[[Tensor, float], float]) -> Tensor:
    """The largest value over the dropout layers, for each seed, on the CPU."""
    values = []
    for seed in trained.seeds:
        layers = _dropout(trained.arm.build(seed))
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            ones = torch.ones(SAMPLES, UNITS, dtype=torch.float64)
            values.append([measure(layer(ones), layer.p) for layer in layers])
    return torch.tensor(values, dtype=torch.float64).amax(1)  # not max(), which drops a NaN


def _dropout(module: nn.Module) -> list[Any]:
    """The layers that have a ``p``, torch's name for the share that is dropped."""
    return [layer for layer in module.children() if "p" in vars(layer)]


def masked_accuracy_error(trained: Trained) -> Tensor:
    """Distance of the accuracy under masks from K a + (1 - K) / classes.

    K is the share of samples that masks of whole samples keep, and a the accuracy without masks.
    The test images have equally many of each class, so a constant answer is right for 1 / classes.
    """
    data = trained.data
    plain = (trained.test_logits.argmax(-1) == data.test_targets).double().mean(-1).cpu()
    masked = torch.tensor(_masked_accuracies(trained), dtype=torch.float64)
    return (masked - (SURVIVAL * plain + (1 - SURVIVAL) / data.classes)).abs()


def _masked_accuracies(trained: Trained) -> list[float]:
    """One accuracy per seed; NaN if any logit is not finite, with or without masks."""
    data, accuracies = trained.data, []
    unmasked = answered(trained.test_logits).tolist()
    for seed, state, finite in zip(trained.seeds, trained.replicas(), unmasked, strict=True):
        module = trained.arm.build(seed).to(trained.device).train()
        with torch.no_grad():
            draws = [
                torch.func.functional_call(module, state, (data.test_inputs,)) for _ in range(DRAWS)
            ]
        logits = torch.stack(draws)  # (DRAWS, N, classes)
        right = (logits.argmax(-1) == data.test_targets).double().mean()
        accuracies.append(float(right) if finite and logits.isfinite().all() else math.nan)
    return accuracies
