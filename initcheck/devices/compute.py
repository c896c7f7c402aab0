"""Settings of torch's arithmetic: float32 precision, CPU threads, subnormal numbers, memory."""

from __future__ import annotations

import ctypes
import functools
import platform
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from threadpoolctl import ThreadpoolController

from initcheck import devices

if TYPE_CHECKING:
    from collections.abc import Iterator

# Note [One set of switches]: torch 2.9 added `fp32_precision`. Reading an old switch (`allow_tf32`)
# after writing a new one raises, even if both have the same meaning. So each version of torch uses
# one set of switches, for writing and for reading.


def use_ieee_float32() -> None:
    """Make float32 matrix products, convolutions and recurrent layers compute in IEEE float32.

    This turns off TF32, bfloat16 and reduced-precision accumulation. If torch has `fp32_precision`,
    reading cuDNN's `allow_tf32` raises afterwards: see Note [One set of switches].
    """
    backends: Any = torch.backends
    if _has_new_switches():
        backends.fp32_precision = "ieee"  # all backends
        for switch in _new_switches().values():
            switch.fp32_precision = "ieee"  # and each operator, whose own setting has priority
    else:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
    products = devices.matmul_switches()
    products.allow_fp16_reduced_precision_reduction = False
    products.allow_bf16_reduced_precision_reduction = False


def matmul_precision() -> str:
    """Return the current float32 precision, for the results file.

    "ieee" if all operators use it, else the precision of each: "matmul tf32, convolution ieee".
    """
    precisions = _new_precisions() if _has_new_switches() else _old_precisions()
    if len(set(precisions.values())) == 1:
        return next(iter(precisions.values()))
    return ", ".join(f"{operator} {precision}" for operator, precision in precisions.items())


def _has_new_switches() -> bool:
    return hasattr(torch.backends, "fp32_precision")


def _new_switches() -> dict[str, Any]:
    backends: Any = torch.backends
    return {
        "matmul": devices.matmul_switches(),
        "convolution": backends.cudnn.conv,
        "recurrent": backends.cudnn.rnn,
        "cpu matmul": backends.mkldnn.matmul,
        "cpu convolution": backends.mkldnn.conv,
        "cpu recurrent": backends.mkldnn.rnn,
    }


def _new_precisions() -> dict[str, str]:
    written = {name: str(switch.fp32_precision) for name, switch in _new_switches().items()}
    return {name: "ieee" if value == "none" else value for name, value in written.items()}


def _old_precisions() -> dict[str, str]:
    names = {"highest": "ieee", "high": "tf32", "medium": "bf16"}
    convolution = "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"
    return {"matmul": names[torch.get_float32_matmul_precision()], "convolution": convolution}


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Let torch use `n` CPU threads, and restore the previous number at the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def scipy_threads() -> Iterator[None]:
    """Limit the matrix routines of scipy and numpy to as many threads as torch uses.

    By default they use one thread per core in each of several processes, which then slow one
    another down: an inertia at 1024 took three times the processor time on two cores. Libraries
    that are loaded after the first use are not limited.
    """
    with _libraries().limit(limits=torch.get_num_threads(), user_api="blas"):
        yield


@functools.cache  # finding the libraries takes 60 ms if torch has loaded CUDA's
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def subnormals_flushed() -> Iterator[None]:
    """Flush subnormal numbers to zero in this CPU thread, and restore the setting at the end.

    They are below 1.2e-38 in float32. A processor takes about a hundred cycles for each, and a
    saturated softmax yields thousands: arms that start from N(0, 1) took up to three times as long.
    """
    before = bool(torch.full((8,), 1e-38).mul_(0.1).eq(0).all())
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


# Parameters of glibc's mallopt (malloc.h), and their values in bytes. glibc keeps at most 128 MiB
# of free memory at the top of its heap, so that a large arm's memory is returned in the end. It
# takes blocks of up to 32 MiB, the largest value it allows, from the heap.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MALLOPT = {M_TRIM_THRESHOLD: 128 * 2**20, M_MMAP_THRESHOLD: 32 * 2**20}


def keep_freed_memory() -> bool:
    """Let glibc keep the memory that torch frees; return whether it does. Only glibc is changed.

    By default every gradient of some megabytes is returned to the system, and zeroed again at the
    next step. That took a fifth to a quarter of a training step on a CPU.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    return all(library.mallopt(parameter, value) == 1 for parameter, value in MALLOPT.items())


def machine(device: str) -> dict[str, str | int]:
    """Return what identifies this machine in the evidence: device, torch, precision, threads."""
    description = devices.describe(device)
    return {
        "device type": str(description["type"]), "device": str(description["hardware"]),
        "torch": torch.__version__, "matmul precision": matmul_precision(),
        "threads": torch.get_num_threads(),
    }  # fmt: skip
