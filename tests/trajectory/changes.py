"""Changes of a training loop through public seams: faults and innocent changes are such."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

from torch import nn
from torch.optim import Optimizer

Training = Callable[..., Iterator[Any]]
Reach = Callable[[], None]  # called where a change takes effect
Edit = Callable[[nn.Module, Optimizer], bool]


@dataclass(frozen=True)
class Change:
    """One change of a loop.

    Attributes:
        name: what is changed, in a few words.
        context: what holds while the loop computes; it calls its argument where it takes effect.
        edit: changes the model and its optimizer before the first step; whether there was
            something to change.
    """

    name: str
    context: Callable[[Reach], AbstractContextManager[Any]] | None = None
    edit: Edit | None = None

    def applied(self, training: Training, reached: list[str]) -> Training:
        """The changed loop, which notes in ``reached`` that the change took effect."""

        def reach() -> None:
            if self.name not in reached:
                reached.append(self.name)

        @wraps(training)
        def changed(seed: int, **options: Any) -> Iterator[Any]:
            loop = training(seed, **options)
            with self._holds(reach):
                model, optimizer = next(loop)
                if self.edit and self.edit(model, optimizer):
                    reach()
            yield model, optimizer
            while True:
                with self._holds(reach):
                    loss = next(loop, None)
                if loss is None:
                    return
                yield loss

        return changed

    @contextmanager
    def _holds(self, reach: Reach) -> Iterator[None]:
        if self.context is None:
            yield
            return
        with self.context(reach):
            yield


@contextmanager
def replaced(owner: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """In place of ``owner.name``, what ``make`` returns for it."""
    original = getattr(owner, name)
    setattr(owner, name, make(original))
    try:
        yield
    finally:
        setattr(owner, name, original)
