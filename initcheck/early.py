"""A process that has begun already, while this one cannot yet send any out."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Sequence
from functools import cached_property
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from initcheck import forks

Found = TypeVar("Found")


class Early(Generic[Found]):
    """Works through numbered errands, one after the other, until it is called in."""

    def __init__(self, numbers: Sequence[int], go: Callable[[int], Found]) -> None:
        context = multiprocessing.get_context("fork")
        self._numbers = numbers
        self._begun = context.Value("i", 0)  # how many, whichever process looks
        self._ours, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=self._work, args=(go, theirs), daemon=True)
        with forks.quietly():
            self._process.start()
        theirs.close()  # so that the end of the process is the end of what it says

    def call_in(self) -> frozenset[int]:
        """Let it begin no other errand; returns those that it has begun."""
        with self._begun.get_lock():
            begun, self._begun.value = self._begun.value, len(self._numbers)
        return frozenset(self._numbers[:begun])

    @cached_property
    def found(self) -> dict[int, Found]:
        """What came of each errand; waits for the last one. One that failed is missing."""
        try:
            found: dict[int, Found] = self._ours.recv()
        except EOFError:  # it died
            return {}
        self._process.join()
        return found

    def _work(self, go: Callable[[int], Found], theirs: Connection) -> None:
        found = {}
        for place, number in enumerate(self._numbers):
            with self._begun.get_lock():
                if self._begun.value > place:
                    break
                self._begun.value = place + 1
            with contextlib.suppress(Exception):
                found[number] = go(number)
        theirs.send(found)
