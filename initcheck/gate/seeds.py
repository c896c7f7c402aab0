"""Which seeds each stage draws: recording, first look and confirmation never share one."""

from __future__ import annotations

import functools
import hashlib

import numpy as np

RECORDING, FIRST, FRESH = 0, 1, 2
REFERENCE = 4  # the first seeds of the first stage: the rounding envelope is recorded on them


@functools.cache  # asked for every side of every comparison: half a second in all
def stage(number: int, count: int, salt: str = "") -> tuple[int, ...]:
    """The first ``count`` seeds of a stage; a salt draws other ones.

    Seeds depend on the stage alone, not on the claim, so that claims can share trained arms and
    arms are paired by seed. The false-alarm bound adds up over claims whether or not they share.
    """
    key = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "big") if salt else 0
    return tuple(
        int(np.random.SeedSequence([key, number, i]).generate_state(1, np.uint32)[0])
        for i in range(count)
    )


def reference() -> tuple[int, ...]:
    """The seeds of the rounding envelope, whatever the salt."""
    return stage(FIRST, REFERENCE)
