"""Which accelerators each of several processes on a machine can see."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

NVML_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"
VISIBLE_DEVICES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


def hide_accelerators() -> None:
    """Hide all accelerators from this process, a forked one that trains on the CPU.

    Otherwise autograd would start a context on every accelerator it sees, even to train on the CPU.
    """
    os.environ.update(dict.fromkeys(VISIBLE_DEVICES, ""))


def show_one_accelerator(worker: int) -> None:
    """Let this process see only one CUDA device: workers 0, 1, ... take the devices in turn.

    Must be called before the process starts CUDA. With one device or none, nothing changes.
    """
    listed = [name for name in os.environ.get(VISIBLE_DEVICES[0], "").split(",") if name]
    with without_starting_accelerators():
        visible = listed or [str(index) for index in range(torch.cuda.device_count())]
    if len(visible) > 1:
        os.environ[VISIBLE_DEVICES[0]] = visible[worker % len(visible)]


@contextmanager
def without_starting_accelerators() -> Iterator[None]:
    """Make torch check for CUDA through NVIDIA's management library, which does not start CUDA.

    Such a check takes a hundred microseconds, and torch's optimizers check at every step. So use it
    around single calls only.
    """
    before = os.environ.get(NVML_CHECK)
    os.environ[NVML_CHECK] = "1"
    try:
        yield
    finally:
        del os.environ[NVML_CHECK]
        if before is not None:
            os.environ[NVML_CHECK] = before
