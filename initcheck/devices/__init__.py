"""Devices: which ones work, what hardware they are, and how torch runs on them.

Only this package knows the names of accelerators. Everywhere else a device is an opaque string,
such as "cpu" or one that `available` returned.
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
from initcheck.devices.graphs import recorded, records, require_recording, warming_up
from initcheck.devices.runtime import (
    end_step,
    fused_optimizers,
    has_float64,
    matmul_switches,
    measures,
    peak_memory,
    rows,
    seed_generator,
    stack,
    synchronize,
    temporary_seed,
)
from initcheck.devices.visibility import (
    hide_accelerators,
    show_one_accelerator,
    without_starting_accelerators,
)

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
    "matmul_switches",
    "measures",
    "peak_memory",
    "recorded",
    "records",
    "require",
    "require_recording",
    "rows",
    "seed_generator",
    "show_one_accelerator",
    "stack",
    "synchronize",
    "temporary_seed",
    "warming_up",
    "without_starting_accelerators",
]
