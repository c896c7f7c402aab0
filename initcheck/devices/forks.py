"""Forked processes: whether this system supports them, and a call in one of them."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import TypeVar

import torch

Result = TypeVar("Result")

PR_SET_PDEATHSIG = 1  # linux/prctl.h: which signal this process receives when its parent ends


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


def end_with_parent() -> None:
    """Let this process, which multiprocessing started, end when its parent ends, however it ends.

    A parent that is killed stops no worker: they would wait for jobs forever, each with its memory
    and with the parent's standard output open. Linux sends the signal when the thread that started
    the process ends, so start it from a thread that lives as long as the process is needed.
    """
    parent = multiprocessing.parent_process()
    if parent is None or parent.pid is None:
        return
    if not _killed_by_linux():
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()
    if os.getppid() != parent.pid:  # it ended before the lines above
        os._exit(1)


def _killed_by_linux() -> bool:
    """Ask Linux for SIGKILL at the parent's end; False where that is impossible."""
    if sys.platform != "linux":
        return False
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return prctl is not None and prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) == 0


def _end_after(sentinel: int) -> None:
    """Wait for the end of the pipe that only the parent holds open, then end this process."""
    connection.wait([sentinel])
    os._exit(1)


def _send_result(function: Callable[[], Result], sender: Connection) -> None:
    end_with_parent()
    torch.set_num_threads(1)  # the parent's pool of threads does not exist here
    sender.send(function())


@contextmanager
def without_fork_warnings() -> Iterator[None]:
    """Silence Python's warning about forks with threads: torch's are idle, the child uses none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
