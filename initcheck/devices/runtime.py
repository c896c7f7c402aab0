"""What running on a device takes: waiting, random numbers, memory, switches of its products."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from initcheck.devices import backends

if TYPE_CHECKING:
    from collections.abc import Iterator

# Optimizers whose fused kernel (one pass over memory) every supported torch has, by type of device.
# Older ones have Adagrad's for the CPU alone, other accelerators differ by release, and XLA has no
# such kernel: there torch chooses.
FUSED = {
    "cpu": frozenset({"SGD", "Adam", "AdamW", "Adagrad"}),
    "cuda": frozenset({"SGD", "Adam", "AdamW"}),
}


def has_float64(name: str) -> bool:
    """Whether the device computes in float64; where not, probes that need it go to the CPU."""
    device = torch.device(name)
    if device.type == "mps":
        return False
    if device.type == "xpu":
        return bool(getattr(backends.properties(device), "has_fp64", True))
    return True


def fused_optimizers(name: str) -> frozenset[str]:
    """The optimizers of torch that have a fused kernel there, in every torch that is supported."""
    return FUSED.get(torch.device(name).type, frozenset())


def synchronize(name: str) -> None:
    """Wait until all work given to the device is done; nothing to wait for on the CPU."""
    device = torch.device(name)
    if device.type == "cpu":
        return
    if device.type == "xla":
        end_step(name)
        importlib.import_module("torch_xla.core.xla_model").wait_device_ops()
    elif device.type == "mps":
        torch.mps.synchronize()  # takes no device, there is only one
    else:
        backends.named(device.type).synchronize(device)


@contextmanager
def own_random_state(name: str, seed: int) -> Iterator[None]:
    """Seed an accelerator's global generator, and put it back afterwards; not XLA's."""
    device = torch.device(name)
    if device.type in ("cpu", "xla"):
        yield
        return
    backend = backends.named(device.type)
    which = () if device.type == "mps" else (device,)  # there is only one
    before = backend.get_rng_state(*which)
    backend.set_rng_state(torch.Generator(device).manual_seed(seed).get_state(), *which)
    try:
        yield
    finally:
        backend.set_rng_state(before, *which)


def end_step(name: str) -> None:
    """Cut the graph that a lazy backend (XLA) collects, so it stays one step long; else a no-op."""
    if torch.device(name).type == "xla":
        backends.named("xla").sync()


def peak_memory(name: str) -> int | None:
    """Largest memory in bytes since the process began, or None where it is not known.

    On an accelerator, what torch allocated; on the CPU, the resident set of the whole process.
    """
    device = torch.device(name)
    if device.type == "cpu":
        return _peak_resident()
    ask = getattr(backends.named(device.type), "max_memory_allocated", None)
    return None if ask is None else int(ask(device))


def _peak_resident() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def product_switches() -> Any:
    """Return torch's switches for an accelerator's matrix products, for `arithmetic` to set."""
    return torch.backends.cuda.matmul
