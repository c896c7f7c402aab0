"""The seeds of each stage: recording, first look and confirmation never share a seed."""

from __future__ import annotations

import functools
import hashlib

import numpy as np

RECORDING, FIRST, FRESH = 0, 1, 2
REFERENCE = 4  # the first seeds of the first stage: the rounding envelope is recorded on them


@functools.cache  # needed for every side of every comparison, half a second in all
def stage(number: int, count: int, salt: str = "") -> tuple[int, ...]:
    """The first ``count`` seeds of a stage; another salt draws others.

    Seeds depend only on the stage, not on the claim, so claims can share trained arms and arms are
    paired by seed. The bound on false alarms adds up over claims whether or not they share seeds.
    """
    key = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "big") if salt else 0
    return tuple(
        int(np.random.SeedSequence([key, number, i]).generate_state(1, np.uint32)[0])
        for i in range(count)
    )


def reference() -> tuple[int, ...]:
    """The seeds of the rounding envelope, which no salt changes."""
    return stage(FIRST, REFERENCE)
