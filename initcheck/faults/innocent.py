"""Innocent changes: changes of arithmetic that the gate must not call a drift."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from initcheck import arms
from initcheck.devices import compute, forks
from initcheck.faults.fault import replaced, wrapped
from initcheck.training import train as training


@dataclass(frozen=True)
class Innocent:
    """One change, made inside the process, by environment variables, or by options of the run.

    Attributes:
        apply: makes the change in this process, as a context.
        variables: environment variables that make it.
        options: options of pytest that make it.
        spares: claims that are not run, because the change is not innocent for them.
    """

    description: str
    apply: Callable[[], AbstractContextManager[Any]] = nullcontext
    variables: Mapping[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Train one chunk at a time on several arithmetic threads; normally each chunk has one."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with (
            replaced(
                forks, "supported", lambda: False
            ),  # forked processes train on one thread each
            replaced(compute, "threads", lambda _: nullcontext()),
            wrapped(
                training.run_all,
                lambda run_all: lambda work, parts, jobs: run_all(work, parts, 1),
            ),
        ):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _float64() -> Iterator[None]:
    """Compute in float64 what a recipe calls float32, from the same float32 starts."""
    arms.DTYPES["float32"] = torch.float64
    try:
        yield
    finally:
        arms.DTYPES["float32"] = torch.float32


@contextmanager
def _without_onednn() -> Iterator[None]:
    """Switch oneDNN off."""
    torch._C._set_mkldnn_enabled(False)  # noqa: SLF001 -- the public switch also sets TF32
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(True)  # noqa: SLF001 -- as above


def _processor(description: str, **variables: str) -> Innocent:
    return Innocent(description, variables=variables)


INNOCENT = {
    "same": Innocent("another process, nothing changed"),
    "threads": Innocent("two arithmetic threads", partial(_threads, 2)),
    "no-onednn": Innocent("without oneDNN", _without_onednn),
    "float64": Innocent(
        "float64 arithmetic, except in claims about dropout, which draws other masks in float64, "
        "and about what bfloat16 rounds away",
        _float64,
        spares=(
            "masked_samples_set_a_ceiling", "dropout_masks_units", "unit_gains_stay_in_bfloat16",
        ),
    ),
    "module": Innocent("plain loops", options=("--initcheck-engine", "module")),
    "chunks-1": Innocent("one replica per chunk", lambda: replaced(training, "MOST_REPLICAS", 1)),
    "chunks-all": Innocent(
        "all replicas in one chunk", lambda: replaced(training, "MOST_REPLICAS", 10**6)
    ),
    "aten-avx2": _processor("torch's kernels for AVX2", ATEN_CPU_CAPABILITY="avx2"),
    "aten-default": _processor("torch's kernels without AVX", ATEN_CPU_CAPABILITY="default"),
    "subnormals": Innocent(
        "numbers below 1.2e-38 kept, which are normally flushed to zero",
        lambda: replaced(compute, "subnormals_flushed", nullcontext),
    ),
    "mkl-avx2": _processor("MKL for AVX2", MKL_ENABLE_INSTRUCTIONS="AVX2"),
    "mkl-sse": _processor("MKL for SSE4.2", MKL_ENABLE_INSTRUCTIONS="SSE4_2"),
    "mkl-compatible": _processor("MKL's code path shared by all processors", MKL_CBWR="COMPATIBLE"),
    "old-processor": _processor(
        "an SSE4.1 processor, emulated", ATEN_CPU_CAPABILITY="default",
        MKL_ENABLE_INSTRUCTIONS="SSE4_2", ONEDNN_MAX_CPU_ISA="SSE41", MKL_CBWR="COMPATIBLE",
    ),
}  # fmt: skip
