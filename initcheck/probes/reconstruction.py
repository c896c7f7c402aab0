"""Pretraining: how well the machines that made a start reconstruct their inputs."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from initcheck.arms import stream
from initcheck.initializers.pretrained import Machine, Pretrained, hidden_layers
from initcheck.training.train import Trained


def epochs_without_fall(trained: Trained) -> Tensor:
    """Number of epochs, over all machines, that did not lower the reconstruction error."""
    counts = [sum(_rises(machine) for machine in stack) for stack in _stacks(trained)]
    return torch.tensor(counts, dtype=torch.float64)


def _rises(machine: Machine) -> int:
    return sum(later >= earlier for earlier, later in pairwise(machine.errors))


def reconstruction_share(trained: Trained) -> Tensor:
    """The first machine's last reconstruction error over the error of the mean image."""
    found = []
    for stack in _stacks(trained):
        initializer = _pretrained(trained)
        inputs = initializer.schedule.inputs(initializer.data)
        spread = inputs.var(0, correction=0).sum()
        found.append(stack[0].errors[-1] / float(spread))
    return torch.tensor(found, dtype=torch.float64)


def _stacks(trained: Trained) -> list[tuple[Machine, ...]]:
    """The machines that each replica starts from; a process trains them once."""
    initializer = _pretrained(trained)
    stacks = []
    for seed in trained.seeds:
        module = trained.arm.network.fresh(0)
        widths = [layer.out_features for layer in hidden_layers(module, initializer.name)]
        generator = stream(seed, "weights")
        stacks.append(initializer.machines(widths, generator))
    return stacks


def _pretrained(trained: Trained) -> Pretrained:
    initializer = trained.arm.initializer
    if not isinstance(initializer, Pretrained):
        raise TypeError(
            f"This probe measures pretraining, and the initializer {initializer.name!r} does none. "
            "Give it arms whose initializer is made by initcheck.initializers.pretrained."
        )
    return initializer
