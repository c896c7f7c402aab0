"""Operations that differ between devices: waiting, random state, memory, product switches."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from initcheck.devices import backends

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Optimizers with a fused kernel (one pass over memory) in every supported torch, by type of device.
# Adagrad has one on the CPU only. Other accelerators differ between releases, and XLA has none:
# there torch chooses the kernel.
FUSED = {
    "cpu": frozenset({"SGD", "Adam", "AdamW", "Adagrad"}),
    "cuda": frozenset({"SGD", "Adam", "AdamW"}),
}
# Backends that collect operations into a graph and compile each graph that they have not seen.
LAZY = {"xla"}


def has_float64(name: str) -> bool:
    """Return whether the device computes in float64."""
    device = torch.device(name)
    if device.type == "mps":
        return False
    if device.type == "xpu":
        return bool(getattr(backends.properties(device), "has_fp64", True))
    return True


def measures(name: str) -> bool:
    """Return whether probes can measure on the device. If not, they get tensors on the CPU.

    A lazy backend compiles a graph for each number that a probe reads, and its tensors cannot be
    read by NumPy and SciPy.
    """
    return has_float64(name) and torch.device(name).type not in LAZY


def fused_optimizers(name: str) -> frozenset[str]:
    """Return the names of optimizers with a fused kernel on the device in every supported torch."""
    return FUSED.get(torch.device(name).type, frozenset())


def synchronize(name: str) -> None:
    """Wait until the device has finished all its work. On the CPU there is nothing to wait for."""
    device = torch.device(name)
    if device.type == "cpu":
        return
    if device.type == "xla":
        end_step(name)
        importlib.import_module("torch_xla.core.xla_model").wait_device_ops()
    elif device.type == "mps":
        torch.mps.synchronize()  # takes no device, there is only one
    else:
        backends.module_of(device.type).synchronize(device)


def seed_generator(name: str, seed: int) -> None:
    """Seed an accelerator's global generator (not a lazy one's); nothing on the CPU."""
    device = torch.device(name)
    if device.type in {"cpu", *LAZY}:
        return
    arguments = () if device.type == "mps" else (device,)  # torch.mps has only one device
    state = torch.Generator(device).manual_seed(seed).get_state()
    backends.module_of(device.type).set_rng_state(state, *arguments)


@contextmanager
def temporary_seed(name: str, seed: int) -> Iterator[None]:
    """Seed an accelerator's global generator (not a lazy one's), and restore it at the end."""
    device = torch.device(name)
    if device.type in {"cpu", *LAZY}:
        yield
        return
    backend = backends.module_of(device.type)
    arguments = () if device.type == "mps" else (device,)  # torch.mps has only one device
    before = backend.get_rng_state(*arguments)
    seed_generator(name, seed)
    try:
        yield
    finally:
        backend.set_rng_state(before, *arguments)


def end_step(name: str) -> None:
    """On a lazy backend (XLA), run the collected graph, so that it never exceeds one step."""
    kind = torch.device(name).type
    if kind in LAZY:
        backends.module_of(kind).sync()


def rows(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the rows of a tensor, one for each step of a loop.

    They are views, except on a lazy backend. There a view's row number would be a constant in the
    graph, so every step would be compiled again. So each row is a separate copy from the CPU.
    """
    if tensor.device.type not in LAZY:
        return iter(tensor)
    return (row.to(tensor.device) for row in tensor.cpu())


def stack(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack one tensor per step. On a lazy backend the stack is on the CPU, elsewhere it stays.

    A graph with a tensor of every step would be compiled for each number of steps.
    """
    lazy = tensors[0].device.type in LAZY
    return torch.stack([tensor.cpu() if lazy else tensor for tensor in tensors])


def peak_memory(name: str) -> int | None:
    """Return the peak memory of this process in bytes, or None if it is unknown.

    On an accelerator this is what torch allocated; on the CPU, the resident set of the process.
    """
    device = torch.device(name)
    if device.type == "cpu":
        return _peak_resident()
    get = getattr(backends.module_of(device.type), "max_memory_allocated", None)
    return None if get is None else int(get(device))


def _peak_resident() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def matmul_switches() -> Any:
    """Return torch's settings for the precision of an accelerator's matrix products."""
    return torch.backends.cuda.matmul
