"""Extends the watch over a build to other threads, to numpy's memory and to seeds inside it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from initcheck.inspection.memory import Fill, WatchedMemory

#: Added to every seed that a build sets itself.
_MOVED = 7_654_321


@contextmanager
def watched(memory: WatchedMemory | None) -> Iterator[None]:
    """Watch operations of torch in this thread and in those that it starts, and ``np.empty``."""
    if memory is None:
        yield
        return
    run = threading.Thread.run

    def run_watched(self: threading.Thread) -> None:
        with _shared(memory):
            run(self)

    with (
        mock.patch.object(threading.Thread, "run", run_watched),
        mock.patch.object(np, "empty", _with_fill(np.empty, memory.fill)),
        mock.patch.object(np, "empty_like", _with_fill(np.empty_like, memory.fill)),
        memory,
    ):
        yield


def _shared(memory: WatchedMemory) -> WatchedMemory:
    """Another mode, which one thread may enter, with the same notes."""
    other = WatchedMemory(memory.fill)
    notes = vars(memory).items()
    vars(other).update({k: each for k, each in notes if isinstance(each, dict | list | set)})
    return other


def _with_fill(allocate: Any, fill: Fill) -> Any:
    def allocate_filled(*args: Any, **kwargs: Any) -> Any:
        array = allocate(*args, **kwargs)
        if array.dtype.kind in "fc":
            array.fill(np.nan if fill == "nan" else 12_345)
        elif array.dtype.kind in "iu":
            largest = np.iinfo(array.dtype).max
            array.fill(largest if fill == "nan" else largest // 3)
        return array

    return allocate_filled


@contextmanager
def other_inner_seeds() -> Iterator[None]:
    """Move every whole number with which numpy's and Python's generators are seeded.

    What changes then, and does not change with the seed of the whole build, comes from a seed that
    the build sets itself.
    """
    with (
        mock.patch.object(np.random, "seed", _seeded(np.random.seed)),
        mock.patch.object(np.random, "default_rng", _seeded(np.random.default_rng)),
        mock.patch.object(np.random, "RandomState", _seeded_class(np.random.RandomState)),
        mock.patch.object(np.random, "PCG64", _seeded_class(np.random.PCG64)),
        mock.patch.object(np.random, "MT19937", _seeded_class(np.random.MT19937)),
        mock.patch.object(np.random, "Philox", _seeded_class(np.random.Philox)),
        mock.patch.object(random, "seed", _seeded(random.seed)),
        mock.patch.object(random, "Random", _seeded_class(random.Random)),
    ):
        yield


def _moved(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if args and isinstance(args[0], (int, np.integer)):
        return ((int(args[0]) + _MOVED) % 2**32, *args[1:]), kwargs
    if isinstance(kwargs.get("seed"), (int, np.integer)):
        return args, kwargs | {"seed": (int(kwargs["seed"]) + _MOVED) % 2**32}
    return args, kwargs


def _seeded(function: Any) -> Any:
    def seeded(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = _moved(args, kwargs)
        return function(*args, **kwargs)

    return seeded


def _seeded_class(generator: type) -> type:
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        args, kwargs = _moved(args, kwargs)
        generator.__init__(self, *args, **kwargs)  # type: ignore[misc]

    return type(generator.__name__, (generator,), {"__init__": init})
