"""Graphs of a device: what one training step launches, recorded once and then replayed.

A small network's step is mostly launches, each of which costs the host some microseconds. A replay
launches all of them at once. Only CUDA has such graphs (torch's notes on CUDA semantics, "CUDA
Graphs"); a recorded step computes on the same tensors at every replay, and runs no Python.
"""

from __future__ import annotations

import functools
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from initcheck.devices import backends
from initcheck.devices.detect import DeviceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

RECORDING = {"cuda"}


def records(name: str) -> bool:
    """Return whether the device can record what a step launches, and replay it."""
    return torch.device(name).type in RECORDING


def require_recording(names: Sequence[str]) -> None:
    """Check that every device can record a step.

    Raises:
        DeviceError: one of them cannot.
    """
    unable = [name for name in names if not records(name)]
    if unable:
        kinds = ", ".join(sorted(RECORDING))
        raise DeviceError(
            f"The engine 'replay' was requested, but '{unable[0]}' cannot record a training step "
            f"and replay it. Of torch's devices, only {kinds} can: request it with "
            f"`--initcheck-device {kinds}`, or train with `--initcheck-engine ensemble`."
        )


@contextmanager
def warming_up(name: str) -> Iterator[None]:
    """Run the first steps where the recording will run, so that libraries and optimizers are ready.

    What a library or an optimizer allocates at its first call would otherwise be recorded.
    """
    device = torch.device(name)
    backend, stream = backends.module_of(device.type), _stream(name)
    stream.wait_stream(backend.current_stream(device))
    with backend.stream(stream):
        yield
    backend.current_stream(device).wait_stream(stream)


def recorded(step: Callable[[], None], name: str) -> Callable[[], None]:
    """Record what ``step`` launches, without running it; the returned function replays it.

    Raises:
        RuntimeError: the step waits for the device, for example to read a number, or does something
            else that cannot be recorded; the message is torch's.
    """
    backend: Any = backends.module_of(torch.device(name).type)
    graph = backend.CUDAGraph()
    with warming_up(name):
        graph.capture_begin()
        try:
            step()
        finally:
            graph.capture_end()
    replay: Callable[[], None] = graph.replay
    return replay


@functools.cache  # memory that was freed on a stream is reused on that stream only
def _stream(name: str) -> Any:
    device = torch.device(name)
    return backends.module_of(device.type).Stream(device=device)
