"""Pretraining: what the machines of a start could reconstruct."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from initcheck.arms import stream
from initcheck.initializers.pretrained import Machine, Pretrained, hidden_layers
from initcheck.training.train import Trained


def epochs_without_fall(trained: Trained) -> Tensor:
    """How many epochs of all machines end with no smaller a reconstruction error than before."""
    counts = [sum(_rises(machine) for machine in stack) for stack in _stacks(trained)]
    return torch.tensor(counts, dtype=torch.float64)


def _rises(machine: Machine) -> int:
    return sum(later >= earlier for earlier, later in pairwise(machine.errors))


def reconstruction_share(trained: Trained) -> Tensor:
    """The first machine's last reconstruction error over that of answering with the mean image."""
    found = []
    for stack in _stacks(trained):
        initializer = _pretrained(trained)
        inputs = initializer.schedule.inputs(initializer.data)
        spread = inputs.var(0, correction=0).sum()
        found.append(stack[0].errors[-1] / float(spread))
    return torch.tensor(found, dtype=torch.float64)


def _stacks(trained: Trained) -> list[tuple[Machine, ...]]:
    """The machines of each replica: the start's own, which are trained once and remembered."""
    initializer = _pretrained(trained)
    found = []
    for seed in trained.seeds:
        module = trained.arm.network.fresh(0)
        widths = [layer.out_features for layer in hidden_layers(module, initializer.name)]
        generator = stream(seed, "weights")
        found.append(initializer.machines(widths, generator))
    return found


def _pretrained(trained: Trained) -> Pretrained:
    initializer = trained.arm.initializer
    if not isinstance(initializer, Pretrained):
        raise TypeError(f"{initializer.name} has no machines; give this probe pretrained arms")
    return initializer
