"""Devices: which ones are there, what they are, and what running on one takes.

This is the only package that knows the names of accelerators; everywhere else a device is an opaque
string such as "cpu" or one that `available` returned.
"""

from initcheck.devices.detect import (
    DeviceError,
    Finding,
    available,
    candidates,
    describe,
    examine,
    forkable,
    require,
)
from initcheck.devices.runtime import (
    end_step,
    fused_optimizers,
    has_float64,
    own_random_state,
    peak_memory,
    product_switches,
    synchronize,
)
from initcheck.devices.visibility import hide_accelerators, letting_sleep, take_one

__all__ = [
    "DeviceError",
    "Finding",
    "available",
    "candidates",
    "describe",
    "end_step",
    "examine",
    "forkable",
    "fused_optimizers",
    "has_float64",
    "hide_accelerators",
    "letting_sleep",
    "own_random_state",
    "peak_memory",
    "product_switches",
    "require",
    "synchronize",
    "take_one",
]
