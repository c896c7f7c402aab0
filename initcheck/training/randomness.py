"""Random numbers that a network draws while it trains, as dropout does.

Dropout takes no generator: it reads the global one of its device. That generator is seeded for each
replica and restored afterwards. An accelerator draws other numbers than the CPU from the same seed.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from initcheck import devices

# What deepcopy raises for a module that holds a computed tensor (weight normalization by a hook,
# pruning) or a lock.
UNCOPIED = (RuntimeError, TypeError)


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed the global generators of the CPU and the device, and restore them afterwards."""
    with torch.random.fork_rng(devices=[]), devices.temporary_seed(device, seed):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU
        yield


@contextmanager
def other_global_state(seed: int) -> Iterator[None]:
    """Seed the global CPU generators of torch, numpy and Python, and restore them at the end."""
    with torch.random.fork_rng(devices=[]):
        kept = random.getstate(), np.random.get_state()  # noqa: NPY002 -- the one that is watched
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU too
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 -- as above
        try:
            yield
        finally:
            random.setstate(kept[0])
            np.random.set_state(kept[1])  # noqa: NPY002 -- as above


def draws(module: nn.Module, inputs: Tensor) -> bool:
    """Whether one forward pass, of a copy on the CPU, reads the global generator.

    True if the module cannot be copied, since then it may.
    """
    try:
        copied = copy.deepcopy(module)
    except UNCOPIED:
        return True
    with seeded(0, "cpu"), torch.no_grad():
        before = torch.get_rng_state()
        copied(inputs)
        return not torch.equal(before, torch.get_rng_state())
