"""Deferred and overwritten starts: what stays unset, and which constants do not survive."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from initcheck.arms import derived
from initcheck.training.train import Trained


class Network(Protocol):
    """What builds a module."""

    def build(self) -> nn.Module:
        """A new module."""


def unset_tensors(trained: Trained) -> Tensor:
    """Number of parameters and buffers that every ``reset_parameters`` of a network leaves unset.

    The network is built on the meta device and allocated by ``to_empty``. NaN is written into all
    of its floating-point tensors, and a tensor that holds one in the end counts.
    """
    counts = [_unset(trained.arm.network, derived(seed, "constructor")) for seed in trained.seeds]
    return torch.tensor(counts, dtype=torch.float64)


@torch.no_grad()
def _unset(network: Network, seed: int) -> int:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        with torch.device("meta"):
            module = network.build()
        module.to_empty(device="cpu")
        tensors = [t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()]
        for tensor in tensors:
            tensor.fill_(torch.nan)
        for part in module.modules():
            reset = getattr(part, "reset_parameters", None)
            if callable(reset):
                reset()
    return sum(bool(tensor.isnan().any()) for tensor in tensors)


def overwritten_zeros(trained: Trained) -> Tensor:
    """Number of rows of weights that the constructor sets to zero and that do not start so."""
    counts = torch.zeros(len(trained.seeds), dtype=torch.float64)
    for r, seed in enumerate(trained.seeds):
        module = trained.arm.network.fresh(derived(seed, "constructor"))
        for name, built in module.named_parameters():
            if built.dim() > 1:
                zero = ~built.detach().flatten(1).any(1)
                now = trained.start[name][r].flatten(1).any(1)
                counts[r] += int((zero & now).sum())
    return counts


def row_movement(trained: Trained, name: str, row: int) -> Tensor:
    """Largest change of an entry of one row of a parameter since the start."""
    moved = trained.parameters[name][:, row].cpu() - trained.start[name][:, row]
    return moved.abs().flatten(1).amax(1).double()
