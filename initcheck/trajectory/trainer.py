"""Watching the `Trainer` of transformers: a callback made of `Watch`.

transformers is not imported before a callback is made.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Self

from torch import Tensor

from initcheck.trajectory.loops import TrajectoryError
from initcheck.trajectory.optional import imported
from initcheck.trajectory.watch import Watch


class WatchCallback:
    """Shows a model that transformers' `Trainer` trains to `unchanged`; nothing outside of it.

    A function of the seed is judged like any other loop::

        def training(seed):
            transformers.set_seed(seed)
            arguments = TrainingArguments(seed=seed, max_steps=1000, report_to="none")
            trainer = Trainer(build(), arguments, train_dataset=data)
            trainer.add_callback(WatchCallback(trainer))
            trainer.train()

    The loss of a step is what the trainer itself logs at every step: the sum of what
    ``training_step`` returns, which is the mean over its micro-batches where gradients are
    accumulated. A `Trainer` tells its callbacks no loss unless it logs, so the callback needs the
    trainer. Training ends after the requested steps by ``control.should_training_stop``, so
    ``max_steps`` may be larger.

    Args:
        trainer: the trainer that the callback is added to.

    Raises:
        TrajectoryError: transformers is not installed, or ``trainer`` is no trainer.
    """

    def __new__(cls, *_: Any, **__: Any) -> Self:
        """An instance that is also a TrainerCallback."""
        (library,) = imported(
            ("transformers",), callback="This WatchCallback", install="'transformers[torch]'"
        )
        derived: type[Self] = _derived(library.TrainerCallback)
        return object.__new__(derived)

    def __init__(self, trainer: Any) -> None:
        if not callable(getattr(trainer, "training_step", None)):
            raise TrajectoryError(
                f"This WatchCallback was given a {type(trainer).__name__}. Make it of the Trainer "
                "that it is added to: trainer.add_callback(WatchCallback(trainer))."
            )
        self._trainer = trainer
        self._watch: Watch | None = None
        self._losses: list[Tensor] = []
        self._inner: Any = None

    def on_train_begin(self, *_: Any, model: Any, optimizer: Any = None, **__: Any) -> None:
        """Show the model, which is on its device and has its optimizer by now."""
        # accelerate wraps the optimizer
        self._watch = Watch(model, getattr(optimizer, "optimizer", optimizer))
        if self._watch.active:
            self._listen()

    def on_step_end(self, _args: Any, _state: Any, control: Any, **_: Any) -> None:
        """Show the loss after the optimizer's step."""
        if self._watch is None or not self._watch.active:
            return
        loss, self._losses = sum(self._losses), []
        if self._watch.step(loss):
            control.should_training_stop = True

    def on_train_end(self, *_: Any, **__: Any) -> None:
        """Give the trainer its method back."""
        if self._inner is not None:
            self._trainer.training_step, self._inner = self._inner, None

    def _listen(self) -> None:
        """Note what ``training_step`` returns."""
        inner, self._losses = self._trainer.training_step, []
        self._inner = inner

        def training_step(*args: Any, **kwargs: Any) -> Any:
            loss = inner(*args, **kwargs)
            self._losses.append(loss)
            return loss

        self._trainer.training_step = training_step


@lru_cache(maxsize=1)
def _derived(callback: type) -> Any:
    """The class with the library's own callback as its base."""
    bases = (WatchCallback, callback)
    return type("WatchCallback", bases, {"__module__": WatchCallback.__module__})
