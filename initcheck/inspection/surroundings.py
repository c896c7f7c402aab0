"""What an inspection leaves as it was: random number generators, flags, and the network unused."""

from __future__ import annotations

import ctypes
import os
import random
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from initcheck import devices

#: Asking takes time, so it is not done for smaller parameters.
_LARGE = 1_000_000


def give_back_memory() -> None:
    """Give freed memory back to the system, where the C library keeps it and can be asked.

    glibc keeps blocks of up to 32 MiB, which after one pass in float64 may be the whole module.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def give_back_after(parameter: Tensor) -> None:
    """Give freed memory back once the gradient of a large parameter has arrived.

    Without it, activations that the backward pass has released stay with the process until its end,
    below the gradients that are still to come.
    """
    if parameter.numel() >= _LARGE:
        give_back_memory()


class DownloadRefusedError(RuntimeError):
    """A connection was attempted. Not an OSError, which libraries catch and try again."""


@contextmanager
def left_as_found(device: str) -> Iterator[None]:
    """Restore generators, dtype, grad mode, flags, threads and the working directory at the end.

    Warnings are ignored meanwhile: the module is built several times, and would repeat its own.
    """
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 -- the global one
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    deterministic = torch.are_deterministic_algorithms_enabled()
    folder, threads = Path.cwd(), torch.get_num_threads()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with (
        torch.random.fork_rng(devices=[]),
        devices.temporary_seed(device, 0),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter(
            "ignore"
        )  # a warning of the module, made an error, is not our finding
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002
            os.chdir(folder)
            torch.set_num_threads(threads)
            torch.set_default_dtype(dtype)
            torch.set_grad_enabled(grad)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)


def seed_everything(seed: int, device: str = "cpu") -> None:
    """Seed the global generators of torch on the CPU and on one device, of numpy and of Python."""
    devices.seed_generator(device, seed)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every accelerator
    np.random.seed(seed % 2**32)  # noqa: NPY002 -- a build may draw from it
    random.seed(seed)


@contextmanager
def uncompiled() -> Iterator[None]:
    """Run what ``torch.compile`` wraps as it is written: compiling would cost minutes.

    A module is compiled only after its first build, so torch's compiler may not be imported yet.
    """
    stance = getattr(torch.compiler, "set_stance", None)  # torch has it from 2.6 on
    if stance is None or "torch._dynamo" not in sys.modules:
        yield
        return
    with stance("force_eager"):
        yield


@contextmanager
def without_network() -> Iterator[None]:
    """Refuse connections, so that a build which downloads weights says so at once.

    Raises:
        DownloadRefusedError: something connects to another machine.
    """

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise DownloadRefusedError

    def connect(self: socket.socket, address: Any) -> None:
        if self.family != getattr(socket, "AF_UNIX", None):
            refuse()
        original(self, address)

    original, lookup = socket.socket.connect, socket.getaddrinfo
    socket.socket.connect, socket.getaddrinfo = connect, refuse  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        socket.socket.connect, socket.getaddrinfo = original, lookup  # type: ignore[method-assign]
