"""Writes down what a loop shows: its model at the start, then each loss and the ways so far."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

from torch import Tensor, nn

from initcheck.envelope.compare import steps_judged
from initcheck.trajectory import traces
from initcheck.trajectory.first_pass import FirstPass
from initcheck.trajectory.loops import TrajectoryError
from initcheck.trajectory.traces import Trace

#: Called with the model before the first step and after each: a twin's rounding errors.
Disturb = Callable[[nn.Module], None]


class Recorder:
    """Sees a model and the loss of each step, and keeps a trace of them.

    Args:
        name: what messages call the loop.
        seed: the run's seed.
        steps: the number of steps to see.
        disturb: a twin's rounding errors, or None.

    Attributes:
        problem: the error that the loop was given, if any. A loop may catch it and go on.
    """

    def __init__(self, name: str, seed: int, steps: int, disturb: Disturb | None = None) -> None:
        self.trace = Trace(seed)
        self.model: nn.Module | None = None
        self.problem: TrajectoryError | None = None
        self._name = f"{name} with seed {seed}"
        self._steps, self._judged = steps, set(steps_judged(steps))
        self._disturb, self._optimizer = disturb, None
        self._start: dict[str, Tensor] = {}
        self._first_pass: FirstPass | None = None

    @property
    def done(self) -> bool:
        """Whether all steps have been seen."""
        return len(self.trace.losses) >= self._steps

    @property
    def shown(self) -> int | None:
        """How many steps have been seen; None before the model."""
        return None if self.model is None else len(self.trace.losses)

    def begin(self, model: nn.Module, optimizer: Any = None) -> None:
        """See the model before its first step.

        Raises:
            TrajectoryError: it is no module, has nothing to watch, or was shown before.
        """
        if not isinstance(model, nn.Module):
            raise self._refused(
                f"shows a {type(model).__name__} first. Yield or watch the torch.nn.Module "
                "that trains, or (module, optimizer), and put several into a torch.nn.ModuleDict."
            )
        if self.model is not None:
            raise self._refused(
                "shows a second model. Yield or watch one module, and put several into a "
                "torch.nn.ModuleDict."
            )
        tensors = self._watched(model)
        if not traces.trainable(model):
            raise self._refused(f"shows a {type(model).__name__} without a parameter that trains.")
        self.model, self._optimizer = model, optimizer
        trace = self.trace
        trace.trained = traces.trainable(model)
        trace.device = next(iter(tensors.values())).device.type
        trace.compiled = traces.is_compiled(model)
        for name, tensor in tensors.items():
            trace.shapes[name] = traces.in_words(tensor)
            trace.eps[name] = traces.epsilon(tensor)
            self._start[name] = tensor.clone()
        trace.start = self._sketched(tensors, {})
        self._first_pass = FirstPass(model, trace)
        if self._disturb:
            self._disturb(model)

    def step(self, loss: Tensor | float) -> bool:
        """See the loss of a step and the model after it; whether that was the last one.

        Raises:
            TrajectoryError: no model was shown, or the loss is not one number.
        """
        if self.done:
            raise SystemExit  # ends the loop: frameworks catch Exceptions, and threads print them
        if self.model is None:
            raise self._refused("shows a loss before its model.")
        trace, number = self.trace, len(self.trace.losses)
        trace.losses.append(self._one_number(loss))
        if self._first_pass:
            self._first_pass.end()
            self._first_pass = None
        if number in self._judged:
            tensors = self._watched(self.model)
            trace.ways[number] = self._ways(tensors)
            for name, tensor in tensors.items():
                words = traces.in_words(tensor)
                if trace.shapes.get(name, words) != words:
                    trace.reshaped.setdefault(name, (number, words))
            trace.device = next(iter(traces.tensors_of(self.model)))[1].device.type
        if number in {0, self._steps - 1}:
            trace.settings[number] = traces.settings_of(self._optimizer)
        if not self.done and self._disturb:
            self._disturb(self.model)
        return self.done

    def _ways(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        for name, tensor in tensors.items():
            start = self._start.get(name)
            if start is not None and start.device != tensor.device:
                self._start[name] = start.to(tensor.device)  # the model was moved
        return self._sketched(tensors, self._start)

    def _watched(self, model: nn.Module) -> dict[str, Tensor]:
        try:
            return traces.watched(model)
        except TrajectoryError as error:
            raise self._refused(f"cannot be watched: {error}") from None

    def _sketched(self, tensors: dict[str, Tensor], start: dict[str, Tensor]) -> dict[str, Tensor]:
        try:
            return traces.ways(tensors, start)
        except TrajectoryError as error:
            raise self._refused(f"cannot be watched: {error}") from error

    def _one_number(self, loss: Any) -> float:
        if isinstance(loss, Tensor) and loss.numel() == 1 and not loss.is_complex():
            loss = loss.item()
        if isinstance(loss, bool) or not isinstance(loss, Real):
            shown = (
                f"a {'complex ' * loss.is_complex()}tensor of shape {tuple(loss.shape)}"
                if isinstance(loss, Tensor)
                else "nothing" if loss is None else f"a {type(loss).__name__}"
            )  # fmt: skip
            again = " Its model is shown once, before the first step." * isinstance(loss, nn.Module)
            raise self._refused(
                f"shows {shown} as the loss of step {len(self.trace.losses)}. Show one number, "
                f"such as the loss's mean.{again}"
            )
        return float(loss)

    def _refused(self, what: str) -> TrajectoryError:
        """An error that is raised once more at the end, if the loop catches it."""
        self.problem = TrajectoryError(f"{self._name} {what}")
        return self.problem
