"""Forked processes: whether this system supports them, and a call in one of them."""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TypeVar

import torch

Result = TypeVar("Result")


class ForkError(RuntimeError):
    """A forked process ended, or was stopped, without a result."""


def supported() -> bool:
    """Return whether processes can be forked. On macOS, system libraries fail after a fork."""
    return sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods()


def call(function: Callable[[], Result], seconds: float) -> Result:
    """Return what ``function`` returns in a forked process, so that its side effects stay there.

    Raises:
        ForkError: the process ended without a result, or took longer than ``seconds``.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_send_result, args=(function, sender))
    with without_fork_warnings():
        process.start()
    sender.close()  # only the process has it now, so its end is the end of the pipe
    try:
        if not receiver.poll(seconds):
            raise ForkError(f"gave no answer in {seconds:g} s")
        result: Result = receiver.recv()
    except EOFError:
        process.join()
        raise ForkError(f"ended with exit code {process.exitcode}") from None
    finally:
        process.terminate()  # has no effect on a process that has ended
        process.join()
    return result


def _send_result(function: Callable[[], Result], sender: Connection) -> None:
    torch.set_num_threads(1)  # the parent's pool of threads does not exist here
    sender.send(function())


@contextmanager
def without_fork_warnings() -> Iterator[None]:
    """Silence Python's warning about forks with threads: torch's are idle, the child uses none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
