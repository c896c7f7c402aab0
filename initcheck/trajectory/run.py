"""One run of a user's loop, watched: from a seed to its trace."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from initcheck.envelope.compare import steps_judged
from initcheck.inspection.surroundings import left_as_found
from initcheck.trajectory import traces
from initcheck.trajectory.loops import Loop, TrajectoryError, failed, steps_of
from initcheck.trajectory.traces import Trace
from initcheck.trajectory.watch import observer

#: Called with the model before the first step and after each: a twin's rounding errors.
Disturb = Callable[[nn.Module], None]


class _Enough(BaseException):
    """Ends a loop that goes on after its last step. No Exception: frameworks catch those."""


class Recorder:
    """Writes down what a loop shows.

    Args:
        name: what messages call the loop.
        seed: the run's seed.
        steps: the number of steps to see.
        disturb: a twin's rounding errors, or None.
    """

    def __init__(self, name: str, seed: int, steps: int, disturb: Disturb | None = None) -> None:
        self.trace = Trace(seed)
        self.model: nn.Module | None = None
        self._name = f"{name} with seed {seed}"
        self._steps, self._judged = steps, set(steps_judged(steps))
        self._disturb, self._optimizer = disturb, None
        self._start: dict[str, Tensor] = {}

    def begin(self, model: nn.Module, optimizer: Any = None) -> None:
        """See the model before its first step.

        Raises:
            TrajectoryError: it is no module, has nothing to watch, or was shown before.
        """
        if not isinstance(model, nn.Module):
            raise TrajectoryError(
                f"{self._name} shows a {type(model).__name__} first. Show the torch.nn.Module that "
                "trains, or (module, optimizer)."
            )
        if self.model is not None:
            raise TrajectoryError(
                f"{self._name} shows a second model. Show one module; several go into a "
                "torch.nn.ModuleList."
            )
        tensors = traces.watched(model)
        if not traces.trainable(model):
            raise TrajectoryError(
                f"{self._name} shows a {type(model).__name__} without a parameter that trains."
            )
        self.model, self._optimizer = model, optimizer
        trace = self.trace
        trace.device = next(iter(tensors.values())).device.type
        trace.trained = traces.trainable(model)
        for name, tensor in tensors.items():
            trace.shapes[name] = traces.in_words(tensor)
            trace.eps[name] = traces.epsilon(tensor)
            trace.start[name] = traces.way(name, tensor)
            self._start[name] = tensor.clone()
        _note_first_batch(model, trace)
        if self._disturb:
            self._disturb(model)

    def step(self, loss: Tensor | float) -> bool:
        """See the loss of a step and the model after it; whether that was the last one.

        Raises:
            TrajectoryError: no model was shown, or the loss is not one number.
        """
        if self.model is None:
            raise TrajectoryError(f"{self._name} shows a loss before its model.")
        trace, number = self.trace, len(self.trace.losses)
        if number >= self._steps:
            raise _Enough
        trace.losses.append(self._one_number(loss))
        if number in self._judged:
            trace.ways[number] = self._ways()
            if number in {0, self._steps - 1}:
                trace.settings[number] = traces.settings_of(self._optimizer)
        if number == self._steps - 1:
            return True
        if self._disturb:
            self._disturb(self.model)
        return False

    def _ways(self) -> dict[str, Tensor]:
        assert self.model is not None  # noqa: S101 -- step has seen it
        return {
            name: traces.way(name, tensor, self._start.get(name))
            for name, tensor in traces.watched(self.model).items()
        }

    def _one_number(self, loss: Any) -> float:
        if isinstance(loss, Tensor) and loss.numel() == 1:
            loss = loss.item()
        if isinstance(loss, bool) or not isinstance(loss, int | float):
            shown = (
                f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor)
                else "nothing" if loss is None else f"a {type(loss).__name__}"
            )  # fmt: skip
            raise TrajectoryError(
                f"{self._name} shows {shown} as the loss of step {len(self.trace.losses)}. Show "
                "one number, such as the loss's mean."
            )
        return float(loss)


def _note_first_batch(model: nn.Module, trace: Trace) -> None:
    """Sketch the inputs of the next forward pass, and note whether it draws random numbers."""
    before: list[Tensor] = []

    def enter(_: nn.Module, args: Any, kwargs: Any) -> None:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        trace.batch = [
            traces.way(f"{number} {traces.in_words(each)}", each.detach())
            for number, each in enumerate(tensors)
            if not each.is_meta and each.layout == torch.strided
        ]  # fmt: skip
        before.append(_generator_state(trace.device))
        handles[0].remove()

    def leave(*_: Any) -> None:
        trace.draws = not torch.equal(before[0], _generator_state(trace.device))
        handles[1].remove()

    handles = [
        model.register_forward_pre_hook(enter, with_kwargs=True),
        model.register_forward_hook(leave),
    ]


def _generator_state(device: str) -> Tensor:
    """The state of torch's generator for a type of device; the CPU's if it has none."""
    module = getattr(torch, device, None)
    if device == "cpu" or not hasattr(module, "get_rng_state"):
        return torch.get_rng_state()
    return module.get_rng_state()  # type: ignore[no-any-return, union-attr]


def run(
    loop: Loop, seed: int, steps: int, *, disturb: Disturb | None = None,
    dtype: torch.dtype | None = None,
) -> Trace:  # fmt: skip
    """Run a loop for a number of steps and return its trace.

    Random generators, flags, threads and the working directory are restored afterwards.

    Args:
        loop: the user's loop.
        seed: the run's seed.
        steps: the number of steps. The trace has fewer losses if the loop ends before.
        disturb: a twin's rounding errors, or None.
        dtype: given to the function, or None.

    Raises:
        TrajectoryError: the loop raised, or shows something that cannot be watched.
    """
    recorder = Recorder(loop.name, seed, steps, disturb)
    with left_as_found(loop.device or "cpu"), _observed_by(recorder):
        try:
            shown = loop.call(seed, dtype)
        except _Enough:
            shown = None
        except (Exception, SystemExit) as error:
            if isinstance(error, TrajectoryError):
                raise
            failed(loop.name, seed, error)
        if inspect.isgenerator(shown):
            _drive(loop, seed, shown, recorder)
    if recorder.model is None:
        raise TrajectoryError(
            f"{loop.name} with seed {seed} shows nothing. Let it yield its model first and then "
            "the loss of each step, or make a Watch of its model."
        )
    if not recorder.trace.losses:
        raise TrajectoryError(
            f"{loop.name} with seed {seed} shows its model and no step. Let it yield the loss "
            "after each step."
        )
    return recorder.trace


def _drive(loop: Loop, seed: int, generator: Any, recorder: Recorder) -> None:
    values = steps_of(loop, seed, generator)
    try:
        for value in values:
            if recorder.model is not None:
                if recorder.step(value):
                    break
            elif isinstance(value, tuple) and len(value) == 2:
                recorder.begin(*value)
            else:
                recorder.begin(value)
    finally:
        generator.close()


@contextmanager
def _observed_by(recorder: Recorder) -> Iterator[None]:
    token = observer.set(recorder)
    try:
        yield
    finally:
        observer.reset(token)
