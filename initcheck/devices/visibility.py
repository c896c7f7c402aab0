"""Processes that share a machine: which accelerators each of them finds, and none by accident."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

ASK_NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"
VISIBLE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")  # which devices a process finds


def hide_accelerators() -> None:
    """In a forked process that trains on the CPU: let it find no accelerator to start a context on.

    Autograd asks every accelerator that it finds for a thread, whatever is trained.
    """
    os.environ.update(dict.fromkeys(VISIBLE, ""))


def take_one(number: int) -> None:
    """Let this process, the one of this number among several, find one of the CUDA devices alone.

    Before it starts CUDA; where there is one device or none nothing changes.
    """
    named = [name for name in os.environ.get(VISIBLE[0], "").split(",") if name]
    with letting_sleep():
        there = named or [str(index) for index in range(torch.cuda.device_count())]
    if len(there) > 1:
        os.environ[VISIBLE[0]] = there[number % len(there)]


@contextmanager
def letting_sleep() -> Iterator[None]:
    """Within, whoever asks whether there is CUDA does not start it: torch asks NVIDIA's library.

    That takes a hundred microseconds, and torch's optimizers ask at every step: not for long.
    """
    before = os.environ.get(ASK_NVML)
    os.environ[ASK_NVML] = "1"
    try:
        yield
    finally:
        del os.environ[ASK_NVML]
        if before is not None:
            os.environ[ASK_NVML] = before
