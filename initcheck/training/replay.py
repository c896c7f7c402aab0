"""Training steps that a device records once and then replays, one launch for each step.

The first steps run as usual, since libraries and optimizers allocate at their first call. The next
one is recorded. A replay runs no Python, so the number of the step is a tensor on the device, and
each step writes its losses into its row of one tensor.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from initcheck import devices
from initcheck.arms import Optimizer
from initcheck.training.work import Work

WARM_UP = 3  # steps before the recording, as torch's notes on CUDA graphs advise
Update = Callable[[Tensor, Tensor], Tensor]


def options(optimizer: Optimizer) -> dict[str, Any] | None:
    """What an optimizer needs so that its step can be recorded; None if it cannot be.

    An optimizer that counts its steps must count on the device (``capturable``). SGD counts none.
    """
    if optimizer.name == "SGD":
        return {}
    known = inspect.signature(getattr(torch.optim, optimizer.name)).parameters
    if "capturable" not in known:
        return None
    return {} if "capturable" in dict(optimizer.options) else {"capturable": True}


def possible(work: Work) -> bool:
    """Whether the steps of this work can be replayed: they are alike, and there are enough."""
    enough = work.recipe.steps > WARM_UP
    return enough and work.jitter is None and options(work.recipe.optimizer) is not None


class Replayed:
    """Calls ``update`` for the first steps, then replays what one call launched.

    Attributes:
        refusal: why the device did not record the step, so that each step is called; else empty.
    """

    def __init__(self, update: Update, images: Tensor, targets: Tensor, device: str) -> None:
        """Take the update of one step, and what it is called with at each step.

        Args:
            update: from a row of ``images`` and of ``targets`` to each image's loss ``(R * B,)``.
            images: ``(steps, R * B)`` int64, on the device.
            targets: ``(steps, R * B)`` or ``(steps, R * B, T)`` int64, on the device.
            device: where to train, which can record.
        """
        self._update, self._images, self._targets = update, images, targets
        self._device = device
        self._losses, self._row = torch.empty(0), torch.empty(0)  # a replay writes into both
        self._replay: Callable[[], None] | None = None
        self.refusal = ""

    def __call__(self, step: int, images: Tensor, targets: Tensor) -> Tensor:
        """Each image's loss before this step's update, with which this step's arguments fit."""
        if step < WARM_UP:
            with devices.warming_up(self._device):
                losses = self._update(images, targets)
            if step == WARM_UP - 1:
                self._record(losses)
            return losses
        if self._replay is None:
            return self._update(images, targets)
        self._replay()
        return self._losses[step]

    def _record(self, before: Tensor) -> None:
        """Record the next step, whose losses have the shape and dtype of those before it."""
        self._losses = before.new_empty(len(self._images), *before.shape)
        self._row = torch.full((1,), WARM_UP, dtype=torch.int64, device=self._images.device)

        def whole() -> None:
            images = self._images.index_select(0, self._row).squeeze(0)
            targets = self._targets.index_select(0, self._row).squeeze(0)
            losses = self._update(images, targets).unsqueeze(0)
            self._losses.index_copy_(0, self._row, losses)
            self._row.add_(1)

        try:
            self._replay = devices.recorded(whole, self._device)
        except RuntimeError as error:  # torch's; the step was not run, so training goes on as usual
            self.refusal = str(error).partition("\n")[0]
