"""Another state of the global random generators, for asking what depends on them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


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
