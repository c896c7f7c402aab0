"""Watching a Lightning `Trainer`: a callback made of `Watch`.

It is for ``lightning.pytorch`` and for ``pytorch_lightning``, the older name. Neither is imported
before a callback is made.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Self

from torch import Tensor

from initcheck.trajectory.loops import TrajectoryError
from initcheck.trajectory.optional import imported
from initcheck.trajectory.watch import Watch


class WatchCallback:
    """Shows a module that Lightning trains to `unchanged`; does nothing outside of it.

    A function of the seed is judged like any other loop::

        def training(seed):
            lightning.seed_everything(seed)
            trainer = lightning.Trainer(max_steps=1000, callbacks=[WatchCallback()])
            trainer.fit(Module(), batches(seed))

    A step is a batch after which an optimizer has stepped. Its loss is the mean of what
    ``training_step`` returned since the step before: of all micro-batches where gradients are
    accumulated. Training ends after the requested steps by ``trainer.should_stop``, so
    ``max_steps`` may be larger. Lightning then validates once if it was given validation data.

    Raises:
        TrajectoryError: neither lightning nor pytorch_lightning is installed.
    """

    def __new__(cls) -> Self:
        """An instance that is also a Callback of the installed library."""
        libraries = imported(
            ("lightning.pytorch", "pytorch_lightning"),
            callback="This WatchCallback", install="lightning",
        )  # fmt: skip
        derived: type[Self] = _derived(*(each.Callback for each in libraries))
        return object.__new__(derived)

    def __init__(self) -> None:
        self._watch: Watch | None = None
        self._losses: list[Tensor | float] = []
        self._steps = 0

    def __reduce__(self) -> Any:
        return WatchCallback, ()

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Show the module, which is on its device and has its optimizers by now."""
        optimizers = trainer.optimizers
        self._watch = Watch(pl_module, optimizers[0] if len(optimizers) == 1 else None)
        self._losses, self._steps = [], trainer.global_step

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, *_: Any, **__: Any
    ) -> None:
        """Show the loss once an optimizer has stepped."""
        if self._watch is None or not self._watch.active:
            return
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is not None:
            self._losses.append(loss)
        if trainer.global_step == self._steps:
            return  # gradients accumulate, or training_step skipped the batch
        self._steps = trainer.global_step
        if not self._losses:
            raise TrajectoryError(
                f"training_step of {type(pl_module).__name__} returns no loss. Let it return the "
                "step's loss, or a dict with the key loss."
            )
        # In automatic optimization Lightning has divided each loss by the number of micro-batches.
        share = 1 if pl_module.automatic_optimization else len(self._losses)
        loss, self._losses = sum(self._losses) / share, []
        if self._watch.step(loss):
            trainer.should_stop = True


@lru_cache(maxsize=4)
def _derived(*callbacks: type) -> Any:
    """The class with the libraries' own callbacks as its bases."""
    bases = (WatchCallback, *callbacks)
    return type("WatchCallback", bases, {"__module__": WatchCallback.__module__})
