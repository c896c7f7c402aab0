"""`unchanged`: record a training loop, or check it against its record."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from initcheck.trajectory import file as files
from initcheck.trajectory import layers
from initcheck.trajectory.compare import Comparison, compare
from initcheck.trajectory.confirming import confirmed, twins_of_today
from initcheck.trajectory.loops import Loop, Training, TrajectoryError
from initcheck.trajectory.recording import SEEDS, STEPS, TWINS, here, made
from initcheck.trajectory.reference import Reference
from initcheck.trajectory.report import Report
from initcheck.trajectory.run import run
from initcheck.trajectory.writable import demand_writable

Progress = Callable[[int, int], None]


def unchanged(
    training: Training, *, file: str | os.PathLike[str], steps: int | None = None,
    seeds: int | Sequence[int] | None = None, record: str | None = None, name: str | None = None,
    device: str | None = None, command: str = "", progress: Progress = lambda done, total: None,
) -> Report:  # fmt: skip
    """Record a training loop, or check whether it trains as recorded.

    The loop runs once for each seed. It is unchanged if losses and the way of every tensor from its
    start stay within ``FACTOR`` envelopes of the record at every judged step; the envelope is what
    rounding alone did to twins of the recorded runs. Start and first batch are compared first. The
    typical seed must stay inside, and each seed that does not must have a twin, run now, that does.

    Args:
        training: called with a seed, and with ``dtype`` and ``device`` if it has such parameters.
            Either a generator function that yields its module, or (module, optimizer), and then the
            loss after each step; or a function that makes a `Watch`.
        file: the reference.
        steps: the number of steps; 32 if it is recorded, else the recorded number.
        seeds: how many seeds, or which; 0 to 3 if it is recorded, else the recorded ones.
        record: why the loop is recorded; None to check it.
        name: what messages call the loop; the function's name by default.
        device: given to the function as ``device``.
        command: what messages say to record the loop again.
        progress: called with the number of runs done and of all runs.

    Raises:
        TrajectoryError: there is no reference, or the loop cannot be judged. The sentence says why.
        OSError: the file cannot be written.
    """
    path = Path(file).absolute()  # a loop may change the folder
    loop = Loop(training, name or _name(training), device)
    again = command or f"unchanged({loop.name}, file={str(file)!r}, record='why')"
    chosen = _seeds(seeds)
    if steps is not None and (not isinstance(steps, int) or steps < 1):
        raise TrajectoryError(f"{steps!r} steps were requested. Request 1 or more.")
    if record is not None:
        return _record(
            loop, path, record, steps=steps or STEPS, seeds=chosen, command=again, progress=progress
        )
    if not path.exists():
        raise TrajectoryError(f"There is no reference {file}. Record one: {again}")
    reference = files.read(path)
    _demand_same(reference, steps, chosen, again)
    runs, counted = [], _Counted(progress, len(reference.seeds))
    for seed in reference.seeds:
        runs.append(run(loop, seed, reference.steps))
        counted()
    comparison = compare(runs, reference)
    if comparison.verdict == "unconfirmed":
        counted.total += TWINS * sum(each.changed for each in comparison.seeds)
        twins = twins_of_today(loop, reference.steps, counted)
        comparison = confirmed(comparison, reference, twins)
    where = _where(loop, comparison, reference)
    return Report(
        loop.name,
        comparison.verdict,
        comparison,
        reference,
        path,
        here(loop, runs[0]),
        where,
        _as_long(again, reference, comparison.steps),
    )


class _Counted:
    """Counts runs and reports their number."""

    def __init__(self, progress: Progress, total: int) -> None:
        self.done, self.total, self._progress = 0, total, progress

    def __call__(self) -> None:
        self.done += 1
        self._progress(self.done, self.total)


def _as_long(again: str, reference: Reference, possible: int | None) -> str:
    """The command that records, with the steps and seeds of the reference if they are others.

    Args:
        again: the command as it was given.
        reference: what the loop was compared with.
        possible: with how many steps the loop can be recorded; None for the reference's, 0 if not.

    Returns:
        The command; empty if the loop cannot be recorded as it is.
    """
    if possible == 0:
        return ""
    steps, count = possible or reference.steps, len(reference.seeds)
    again = again.replace(f" --steps {reference.steps} --", f" --steps {steps} --")
    added = {}
    if steps != STEPS and " --steps " not in again:
        added["steps"] = steps
    if count != SEEDS and reference.seeds == [*range(count)] and " --seeds " not in again:
        added["seeds"] = count
    for name, value in added.items():
        for mark, option in (
            (" --record ", f" --{name} {value}"),
            (", record=", f", {name}={value}"),
        ):
            before, found, after = again.rpartition(mark)  # a file's name may contain it, too
            again = f"{before}{option}{found}{after}" if found else again
    return again


def _record(
    loop: Loop, path: Path, reason: str, *, steps: int, seeds: Sequence[int] | None, command: str,
    progress: Progress,
) -> Report:  # fmt: skip
    if not reason.strip():
        raise TrajectoryError("A recording needs a reason, which the file keeps. Say why.")
    if path.exists():
        files.read(path)  # refuses a file that is no reference before anything runs
    demand_writable(path)
    reference, comparison = made(
        loop, steps=steps, seeds=seeds, reason=reason.strip(), progress=progress
    )
    files.write(reference, path)
    environment = reference.environment
    return Report(loop.name, "recorded", comparison, reference, path, environment, "", command)


def _name(training: Any) -> str:
    while isinstance(training, partial):
        training = training.func
    return getattr(training, "__name__", type(training).__name__)


def _seeds(seeds: int | Sequence[int] | None) -> list[int] | None:
    if seeds is None:
        return None
    chosen = list(range(seeds)) if isinstance(seeds, int) else list(seeds)
    if not chosen or len(set(chosen)) < len(chosen) or min(chosen) < 0:
        raise TrajectoryError(
            f"seeds={seeds!r} was requested. Request 1 or more, such as {SEEDS}, or a list of "
            "different ones."
        )
    return chosen


def _demand_same(
    reference: Reference, steps: int | None, seeds: Sequence[int] | None, again: str
) -> None:
    """Check that what is asked for was recorded.

    Raises:
        TrajectoryError: other steps or seeds were recorded.
    """
    if steps is not None and steps != reference.steps:
        raise TrajectoryError(
            f"{steps} steps were requested, and the reference has {reference.steps}. Leave the "
            f"number out, or record it again: {again}"
        )
    if seeds is not None and list(seeds) != reference.seeds:
        raise TrajectoryError(
            f"The seeds {list(seeds)} were requested, and the reference has {reference.seeds}. "
            f"Leave them out, or record it again: {again}"
        )


def _where(loop: Loop, comparison: Comparison, reference: Reference) -> str:
    """Where the first step of a loop that left its record differs first."""
    if comparison.first_step is None:
        return ""
    if comparison.loss_alone:
        return (
            "every tensor that is judged follows its record at all steps, so the weights train as "
            "recorded; the loss that the loop shows is another number"
        )
    left = [each.seed for each in comparison.seeds if each.changed]
    if not reference.layers or reference.seeds[0] not in left:  # layers are the first seed's
        return ""
    found = layers.first_difference(loop, reference.seeds[0], reference.layers)
    if found:
        return f"{found} is the first that differs from the recorded one"
    return (
        "outputs and gradients of all layers are as recorded, so what differs comes after them: "
        "the optimizer, its schedule, decay, clipping, or later data"
    )
