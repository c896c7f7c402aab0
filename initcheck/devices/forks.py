"""Forked processes: whether they can be had, and one that is asked a single question."""

from __future__ import annotations

import multiprocessing
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import TypeVar

import torch

Answer = TypeVar("Answer")


class ForkError(RuntimeError):
    """The process that was asked ended, or was stopped, without an answer."""


def possible() -> bool:
    """Whether a process can be had that is like this one: macOS's libraries do not survive it."""
    return sys.platform == "linux" and "fork" in multiprocessing.get_all_start_methods()


def answer(ask: Callable[[], Answer], seconds: float) -> Answer:
    """What ``ask`` returns in a process forked for it: whatever it starts or breaks stays there.

    Raises:
        ForkError: it ended without an answer, or took longer than these seconds.
    """
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_say, args=(ask, theirs))
    with quietly():
        process.start()
    theirs.close()  # so that the end of the process is the end of what it says
    try:
        if not ours.poll(seconds):
            raise ForkError(f"gave no answer in {seconds:g} s")
        found: Answer = ours.recv()
    except EOFError:
        process.join()
        raise ForkError(f"ended with exit code {process.exitcode}") from None
    finally:
        process.terminate()  # nothing, where it has ended
        process.join()
    return found


def _say(ask: Callable[[], Answer], theirs: Connection) -> None:
    torch.set_num_threads(1)  # the threads of the parent's arithmetic are not here
    theirs.send(ask())


@contextmanager
def quietly() -> Iterator[None]:
    """Python warns of any fork beside threads; torch's are idle, and the child needs none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield
