"""Processes that share a machine: which accelerators each of them finds."""

from __future__ import annotations

import os

import torch

ASK_NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"  # or whether there is CUDA is asked by starting it
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
    os.environ.setdefault(ASK_NVML, "1")
    named = [name for name in os.environ.get(VISIBLE[0], "").split(",") if name]
    there = named or [str(index) for index in range(torch.cuda.device_count())]
    if len(there) > 1:
        os.environ[VISIBLE[0]] = there[number % len(there)]
