"""How torch is set to compute: float32 precision, CPU threads, subnormal numbers, freed memory."""

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

# Note [One set of switches]: torch 2.9 brought `fp32_precision`, and reading an old switch
# (`allow_tf32`) after writing a new one raises, even if both mean the same. So one set is used by
# version, for writing and for reading.


def use_ieee_float32() -> None:
    """Make products, convolutions and recurrent layers of float32 compute in IEEE float32.

    Turns TF32, bfloat16 substitutes and reduced-precision accumulation off. Where torch has
    `fp32_precision`, reading `allow_tf32` of cuDNN raises afterwards: Note [One set of switches].
    """
    backends: Any = torch.backends
    if _has_new_switches():
        backends.fp32_precision = "ieee"  # all backends at once ...
        for switch in _new_switches().values():
            switch.fp32_precision = "ieee"  # ... and each operator, whose own setting would win
    else:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
    products = devices.product_switches()
    products.allow_fp16_reduced_precision_reduction = False
    products.allow_bf16_reduced_precision_reduction = False


def matmul_precision() -> str:
    """Return the float32 arithmetic in force, for the results file.

    "ieee" where all operators use it, else each operator's own: "matmul tf32, convolution ieee".
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
        "matmul": devices.product_switches(),
        "convolution": backends.cudnn.conv,
        "recurrent": backends.cudnn.rnn,
        "cpu matmul": backends.mkldnn.matmul,
        "cpu convolution": backends.mkldnn.conv,
        "cpu recurrent": backends.mkldnn.rnn,
    }


def _new_precisions() -> dict[str, str]:
    found = {name: str(switch.fp32_precision) for name, switch in _new_switches().items()}
    return {name: "ieee" if precision == "none" else precision for name, precision in found.items()}


def _old_precisions() -> dict[str, str]:
    names = {"highest": "ieee", "high": "tf32", "medium": "bf16"}
    convolution = "tf32" if torch.backends.cudnn.allow_tf32 else "ieee"
    return {"matmul": names[torch.get_float32_matmul_precision()], "convolution": convolution}


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Let torch use `n` CPU threads within, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def scipy_threads() -> Iterator[None]:
    """Within, the matrix routines of scipy and numpy use as many threads as torch does.

    Theirs are one a core otherwise, which in each of several processes take time from one another:
    an inertia at 1024 took three times the processor time on two cores. Only libraries that are
    loaded when it is first used are told.
    """
    with _libraries().limit(limits=torch.get_num_threads(), user_api="blas"):
        yield


@functools.cache  # to look for them takes 60 ms where torch has brought CUDA's
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def subnormals_flushed() -> Iterator[None]:
    """Within, numbers too small for a full significand are zero on this thread's CPU.

    A processor takes a hundred cycles for each, and a saturated softmax gives thousands: arms that
    start from N(0, 1) took up to three times as long. They are below 1.2e-38 in float32.
    """
    before = bool(torch.full((8,), 1e-38).mul_(0.1).eq(0).all())
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


# What the C library is told by number (malloc.h), in bytes: what it keeps at most at the end of its
# heap, so that a dear arm is not held until the end, and the most it takes for the second.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT, LARGEST = 128 * 2**20, 32 * 2**20


def keep_freed_memory() -> bool:
    """Let glibc keep what torch frees, and say whether it does; elsewhere nothing changes.

    Else every gradient of some megabytes is given back to the system and zeroed anew at the next
    step: of a training step on a CPU that was a fifth to a quarter.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    settings = {TRIM_THRESHOLD: KEPT, MMAP_THRESHOLD: LARGEST}
    return all(library.mallopt(what, value) == 1 for what, value in settings.items())


def machine(device: str) -> dict[str, str | int]:
    """The environment key under which evidence is stored."""
    found = devices.describe(device)
    return {
        "device type": str(found["type"]), "device": str(found["hardware"]),
        "torch": torch.__version__, "matmul precision": matmul_precision(),
        "threads": torch.get_num_threads(),
    }  # fmt: skip
