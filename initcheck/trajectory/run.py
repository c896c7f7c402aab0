"""One run of a user's loop, watched: from a seed to its trace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from initcheck.inspection.surroundings import left_as_found, seed_everything
from initcheck.trajectory import watch
from initcheck.trajectory.loops import Loop, TrajectoryError, ended, failed
from initcheck.trajectory.recorder import Disturb, Recorder
from initcheck.trajectory.traces import Trace


def run(
    loop: Loop, seed: int, steps: int, *, disturb: Disturb | None = None,
    dtype: torch.dtype | None = None,
) -> Trace:  # fmt: skip
    """Run a loop for a number of steps and return its trace.

    The global generators of torch, numpy and Python are seeded before, so that a loop which draws
    from them unseeded does the same in every process. Generators, flags, threads, environment
    variables and the working directory are restored afterwards.

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
    with left_as_found(loop.device or "cpu"), _flags_as_found(), watch.observed_by(recorder):
        seed_everything(seed)
        _drive(loop, seed, dtype, recorder)
    if recorder.problem:
        raise recorder.problem
    if recorder.model is None:
        raise TrajectoryError(
            f"{loop.name} with seed {seed} shows nothing. Let it yield its model first and then "
            "the loss of each step, or make a Watch of its model."
        )
    if not recorder.trace.losses:
        raise TrajectoryError(
            f"{loop.name} with seed {seed} shows its model and no step. Let it yield the loss "
            "after each step, or call step of its Watch."
        )
    return recorder.trace


def _drive(loop: Loop, seed: int, dtype: torch.dtype | None, recorder: Recorder) -> None:
    """Run the loop until it has shown enough."""
    name = f"{loop.name} with seed {seed}"
    try:
        shown = loop.call(seed, dtype)
        if isinstance(shown, Iterator):
            _step_through(name, shown, recorder)
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit) and recorder.done:
            return
        if isinstance(error, TrajectoryError):
            raise
        failed(name, recorder.shown, error)


def _step_through(name: str, shown: Iterator[Any], recorder: Recorder) -> None:
    """Show the recorder what an iterator yields, and close it.

    Raises:
        TrajectoryError: it cannot be closed.
    """
    try:
        for value in shown:
            if recorder.model is not None:
                if recorder.step(value):
                    break
            elif isinstance(value, tuple) and len(value) == 2:
                recorder.begin(*value)
            else:
                recorder.begin(value)
    finally:
        ended(name, shown)


@contextmanager
def _flags_as_found() -> Iterator[None]:
    """Restore what a loop may set and `left_as_found` does not restore."""
    device, environment, cudnn = torch.get_default_device(), dict(os.environ), torch.backends.cudnn
    flags = cudnn.benchmark, cudnn.deterministic
    precision = torch.get_float32_matmul_precision()
    try:
        yield
    finally:
        cudnn.benchmark, cudnn.deterministic = flags
        if torch.get_float32_matmul_precision() != precision:
            torch.set_float32_matmul_precision(precision)
        if torch.get_default_device() != device:
            torch.set_default_device(None if device.type == "cpu" else device)
        if os.environ != environment:
            os.environ.clear()
            os.environ.update(environment)
