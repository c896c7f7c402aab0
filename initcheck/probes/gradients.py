"""Gradients: which layers have one at each step, and the rank of a first step."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.training.train import Trained


def wave_errors(trained: Trained) -> Tensor:
    """Number of violations of the order in which layers get their first gradient, last layer first.

    Before step t, exactly the last t layers must have a nonzero gradient, in weight and bias, and
    step t must leave the other layers bit-identical. A tensor counts once per step if it has a
    gradient too early or none when it is due, and once more if it moves too early.

    The recipe must keep all parameters after each of its steps 1, 2, …
    """
    states = [trained.start, *(trained.kept[step] for step in sorted(trained.kept))]
    due = _wakes_at(trained)
    errors = torch.zeros(len(trained.seeds), dtype=torch.float64)
    for step, (before, after) in enumerate(pairwise(states), start=1):
        gradients = _gradients(trained, before)
        for name, first in due.items():
            asleep = step < first
            errors += (_any(gradients[name]) == asleep).double()
            if asleep:
                moved = after[name].cpu() != before[name].cpu()
                errors += _any(moved).double()
    return errors


def _wakes_at(trained: Trained) -> dict[str, int]:
    """The step, from 1, at which each tensor is due: its layer's place counted from the output."""
    layers = list(dict.fromkeys(name.rpartition(".")[0] for name in trained.start))
    return {name: len(layers) - layers.index(name.rpartition(".")[0]) for name in trained.start}


def _any(tensor: Tensor) -> Tensor:
    """Whether any entry of each replica is nonzero, ``(R,)`` bool on the CPU."""
    return (tensor.flatten(1) != 0).any(1).cpu()


def _gradients(trained: Trained, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of the loss on the first batch of training images in stored order, by name.

    Each has shape ``(R, ...)``.
    """
    module = trained.arm.build(trained.seeds[0]).to(trained.device)
    inputs = trained.data.train_inputs[: trained.arm.recipe.batch]
    targets = trained.data.train_targets[: trained.arm.recipe.batch]
    rows = []
    for r in range(len(trained.seeds)):
        replica = {name: p[r].to(trained.device).requires_grad_() for name, p in state.items()}
        logits = torch.func.functional_call(module, replica, (inputs,))
        loss = F.cross_entropy(logits, targets)
        rows.append(torch.autograd.grad(loss, list(replica.values())))
    return {
        name: torch.stack(each) for name, each in zip(state, zip(*rows, strict=True), strict=True)
    }


def second_direction(trained: Trained, layer: str) -> Tensor:
    """Second largest singular value of a weight's change since the start, over the largest."""
    added = trained.parameters[layer].cpu().double() - trained.start[layer].double()
    values: Tensor = torch.linalg.svdvals(added)  # (R, min(O, I))
    return values[:, 1] / values[:, 0]
