"""Watching a loop that pushes its steps: `Watch`, from which the callbacks are made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from torch import Tensor, nn


class Observer(Protocol):
    """Sees a model at its start and after each step."""

    def begin(self, model: nn.Module, optimizer: object = None) -> None:
        """See the model before its first step."""

    def step(self, loss: Tensor | float) -> bool:
        """See the model after a step; whether enough steps have been seen."""


_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)
_observers: list[Observer] = []  # of all threads


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Let each `Watch` made meanwhile show its loop to an observer."""
    token = _observer.set(observer)
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)
        _observer.reset(token)


def observing() -> Observer | None:
    """Observes the loop that runs now; None outside of `unchanged`.

    A thread that the loop has started knows nothing of its context, so there the only observer of
    all threads is meant.
    """
    found = _observer.get()
    return _observers[0] if found is None and len(_observers) == 1 else found


class Watch:
    """Shows a loop to `unchanged`; does nothing if the loop runs outside of it.

    Make it once the model and the optimizer are built and have their first weights, and call
    ``step`` with the loss after each optimizer step::

        watch = Watch(model, optimizer)
        for inputs, targets in batches:
            ...
            optimizer.step()
            if watch.step(loss):
                break

    Args:
        model: the module that trains.
        optimizer: its optimizer, whose settings are recorded and compared, or None.

    Raises:
        TrajectoryError: the model is no module, or cannot be watched.
    """

    def __init__(self, model: nn.Module, optimizer: object = None) -> None:
        self._observer = observing()
        if self._observer is not None:
            self._observer.begin(model, optimizer)

    @property
    def active(self) -> bool:
        """Whether `unchanged` runs this loop."""
        return self._observer is not None

    def step(self, loss: Tensor | float) -> bool:
        """Show the loss of a step, after the optimizer's step.

        Args:
            loss: a tensor with one number, or a float.

        Returns:
            Whether enough steps have been seen, so that the loop should end. It is ended if it
            shows another one.

        Raises:
            TrajectoryError: the loss is not one number.
        """
        return self._observer is not None and self._observer.step(loss)
