"""Random numbers that a network draws while it trains (dropout): a replica's own, never the user's.

Dropout takes no generator: it reads the global one of its device. That one is seeded for each
replica and put back afterwards. An accelerator draws other numbers than the CPU from a seed.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from initcheck import devices

# What copying a module raises that holds a computed tensor (weight normalization by a hook,
# pruning), or a lock.
UNCOPIED = (RuntimeError, TypeError)


@contextmanager
def own(seed: int, device: str) -> Iterator[None]:
    """Within, the global generators start at ``seed``; afterwards they are as they were."""
    with torch.random.fork_rng(devices=[]), devices.temporary_seed(device, seed):
        torch.default_generator.manual_seed(seed)  # not torch.manual_seed: it seeds every GPU
        yield


def draws(module: nn.Module, inputs: Tensor) -> bool:
    """Whether one forward pass, of a copy on the CPU, reads the global generator.

    Where there can be no copy nobody knows, and yes is the answer that is never wrong.
    """
    try:
        tried = copy.deepcopy(module)
    except UNCOPIED:
        return True
    with own(0, "cpu"), torch.no_grad():
        before = torch.get_rng_state()
        tried(inputs)
        return not torch.equal(before, torch.get_rng_state())
