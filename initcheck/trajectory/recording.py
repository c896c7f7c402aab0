"""Recording a loop: its runs, a repetition, and twins that differ by rounding alone."""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from initcheck.devices.compute import machine
from initcheck.envelope import compare as losses_envelope
from initcheck.envelope import ways
from initcheck.envelope.compare import FLOOR, steps_judged
from initcheck.trajectory import layers
from initcheck.trajectory.compare import Comparison, compare
from initcheck.trajectory.loops import Loop, TrajectoryError
from initcheck.trajectory.problems import LATER, course
from initcheck.trajectory.reference import Reference, Tracked, judged_losses, stacked
from initcheck.trajectory.run import run
from initcheck.trajectory.traces import Trace
from initcheck.trajectory.twins import Disturbance

SEEDS = 4
STEPS = 32
#: With 4 and with 8, the largest r of innocent changes and the number of missed faults are equal
#: (baselines/UNCHANGED.md, measured with 8); with 6, a recording costs less than 12 times training.
TWINS = 6
#: By how much two runs with one seed may differ in the first step, as a share of the loss and of
#: a tensor's way: on the CPU, whose sums have one order, for each tensor; on other devices, where
#: sums of bfloat16 products may change theirs, for the typical one. The twins contain them.
REPEATS = (1e-5, 1e-3)

Progress = Callable[[int, int], None]


def made(
    loop: Loop, *, steps: int = STEPS, seeds: Sequence[int] | None = None, twins: int = TWINS,
    reason: str, progress: Progress = lambda done, total: None,
) -> tuple[Reference, Comparison]:  # fmt: skip
    """Run a loop and its twins; return the reference, and how a second run compares with it.

    Args:
        loop: the user's loop.
        steps: the number of steps of each run.
        seeds: the seeds; 0 to 3 by default.
        twins: runs per seed that differ by rounding alone; one more in float64 if the loop takes a
            dtype.
        reason: why it is recorded.
        progress: called with the number of runs done and of all runs.

    Raises:
        TrajectoryError: the loop cannot be judged. The sentence says why.
    """
    chosen = list(range(SEEDS)) if seeds is None else list(seeds)
    wide = loop.takes("dtype")
    total, done = len(chosen) * (1 + twins + wide) + 1, 0

    def counted(seed: int, **how: Any) -> Trace:
        nonlocal done
        trace = run(loop, seed, steps, **how)
        done += 1
        progress(done, total)
        return trace

    first = demand(loop, counted(chosen[0]), steps)
    again = counted(chosen[0])
    share = repeated(loop, first, again)
    runs = [first, *(demand(loop, counted(seed), steps) for seed in chosen[1:])]
    _demand_seeds(loop, runs)
    disturbed = [
        [counted(seed, disturb=Disturbance(seed, number)) for seed in chosen]
        for number in range(twins)
    ]
    float64 = "" if wide else f"{loop.name} has no parameter named dtype"
    if wide:
        found = _in_float64(runs, counted)
        if isinstance(found, str):
            float64 = found
        else:
            disturbed.append(found)
    reference = _reference(
        loop, runs, disturbed, steps=steps, float64=float64, share=share, reason=reason
    )
    second = _demand_judged(loop, compare([again], reference), reference)
    return reference, replace(second, course=course(first))


def demand(loop: Loop, trace: Trace, steps: int) -> Trace:
    """The trace of a run that can be recorded.

    Raises:
        TrajectoryError: it ended early, or a loss or a tensor is not finite.
    """
    for number, loss in enumerate(trace.losses):
        if not torch.tensor(loss).isfinite():
            raise TrajectoryError(
                f"The loss of {loop.name} with seed {trace.seed} is {loss} at step {number}, so "
                "nothing was recorded. Choose fewer steps or a loop that stays finite."
            )
    if len(trace.losses) < steps:
        raise TrajectoryError(
            f"{loop.name} with seed {trace.seed} ends after {len(trace.losses)} of the {steps} "
            f"requested steps. Request {len(trace.losses)} steps, or let it go on."
        )
    for number, found in trace.ways.items():
        for name, sketched in found.items():
            if not sketched.isfinite().all():
                raise TrajectoryError(
                    f"{name} of {loop.name} with seed {trace.seed} is not finite after step "
                    f"{number}, so nothing was recorded."
                )
    return trace


def repeated(loop: Loop, one: Trace, two: Trace) -> float:
    """The share of numbers that differ in bits between two runs with one seed.

    Raises:
        TrajectoryError: they differ by more than rounding: the seed does not determine the run.
    """
    again = f"Seed every generator that {loop.name} draws from with its seed"
    for name, start in one.start.items():
        if name not in two.start or not torch.equal(start, two.start[name]):
            raise TrajectoryError(
                f"{loop.name} is not repeatable: two runs with seed {one.seed} start from "
                f"different values of {name}. {again}, before the model is built."
            )
    if not _same_batch(one, two):
        raise TrajectoryError(
            f"{loop.name} is not repeatable: in two runs with seed {one.seed}, the first forward "
            f"pass gets different inputs. {again}: data order, augmentation, noise."
        )
    if len(one.losses) != len(two.losses):
        raise TrajectoryError(
            f"{loop.name} is not repeatable: two runs with seed {one.seed} take {len(one.losses)} "
            f"and {len(two.losses)} steps."
        )
    compared = len(one.losses)
    different = sum(x != y for x, y in zip(one.losses, two.losses, strict=True))
    for step, found in one.ways.items():
        for name, sketched in found.items():
            compared += 1
            different += not torch.equal(sketched, two.ways[step].get(name, sketched[:0]))
    share = different / compared
    differ = f"{share:.0%} of losses and tensors differ between two runs with seed {one.seed}"
    for step in one.ways:
        allowed = ways.WAY_CHAOS if step else REPEATS[one.device != "cpu"]
        a, b = one.losses[step], two.losses[step]
        exact = not step and one.device == "cpu"
        far = (max if exact else statistics.median)(_apart(one.ways[step], two.ways[step]))
        if abs(a - b) > allowed * abs(a) or far > allowed:
            raise TrajectoryError(
                f"{loop.name} is not repeatable: {differ}. At step {step} the losses are {a:.6g} "
                f"and {b:.6g}, and tensors {far:.2g} of their way apart. {again}: data order, "
                "augmentation, dropout."
            )
    return share


def _same_batch(one: Trace, two: Trace) -> bool:
    if one.batch is None or two.batch is None:
        return one.batch is two.batch
    pairs = zip(one.batch, two.batch, strict=False)
    return len(one.batch) == len(two.batch) and all(torch.equal(a, b) for a, b in pairs)


def _apart(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> list[float]:
    """The distance of each tensor between two runs, as a share of its way.

    On a device that rounds differently each time, single tensors may be far apart although nothing
    else differs: a bias before a normalization moves by rounding alone.
    """
    shares = [
        float(ways.apart(two[name], each) / each[-1])
        for name, each in one.items() if name in two and each[-1] > 0
    ]  # fmt: skip
    return shares or [0.0]


def _demand_judged(loop: Loop, again: Comparison, reference: Reference) -> Comparison:
    """How a second run with the first seed compares with the reference.

    Raises:
        TrajectoryError: it is outside, or rounding alone moves everything too far.
    """
    if again.verdict == "undecided" and not again.moved:
        raise TrajectoryError(
            f"{loop.name} cannot be judged: {again.why} Nothing was recorded. Let its optimizer "
            "step before it shows the loss, with a learning rate above 0."
        )
    if again.verdict == "undecided":
        raise TrajectoryError(
            f"{loop.name} cannot be judged: {again.why} Nothing was recorded. Choose fewer steps, "
            "a smaller learning rate, or train in float32."
        )
    if not again.ok:
        raise TrajectoryError(
            f"{loop.name} is not repeatable: in two runs with seed {reference.seeds[0]}, "
            f"{reference.repeats:.0%} of the losses and tensors differ. {again.why} Seed every "
            "generator that it draws from with its seed, in data loaders too."
        )
    return again


def _demand_seeds(loop: Loop, runs: Sequence[Trace]) -> None:
    """Refuse seeds that change nothing, and runs of different models."""
    for other in runs[1:]:
        if other.shapes != runs[0].shapes:
            raise TrajectoryError(
                f"{loop.name} builds another model with seed {other.seed} than with seed "
                f"{runs[0].seed}. Let the seed change numbers, not shapes."
            )
        if other.losses == runs[0].losses:
            raise TrajectoryError(
                f"{loop.name} does the same with seed {other.seed} as with seed {runs[0].seed}: "
                f"{len(runs)} equal runs are one. Seed the model and the data with its seed, or "
                "record it with one seed."
            )


def _in_float64(runs: Sequence[Trace], counted: Callable[..., Trace]) -> list[Trace] | str:
    """The float64 twin of each run, or why there is none."""
    found = []
    for trace in runs:
        try:
            twin = counted(trace.seed, dtype=torch.float64)
        except TrajectoryError as error:
            return f"it failed in float64: {error}"
        for name, start in trace.start.items():
            now = twin.start.get(name)
            if now is None or ways.apart(now, start) > losses_envelope.CHAOS * start[-1]:
                return (
                    f"in float64, {name} starts elsewhere: build the model in float32 and move it "
                    "to the dtype then"
                )
        if not any("float64" in shape for shape in twin.shapes.values()):
            return "its model ignores the dtype"
        if len(twin.losses) != len(trace.losses):
            return f"in float64 it takes {len(twin.losses)} steps"
        found.append(twin)
    return found


def here(loop: Loop, trace: Trace) -> dict[str, str | int]:
    """What identifies this machine, and whether the model is compiled."""
    model = "compiled" if trace.compiled else "eager"
    return machine(loop.device or trace.device) | {"model": model}


def _batches(runs: Sequence[Trace]) -> Tensor | None:
    found = [torch.stack(trace.batch) for trace in runs if trace.batch]
    same = len(found) == len(runs) and len({each.shape for each in found}) == 1
    return torch.stack(found) if same else None


def _reference(
    loop: Loop, runs: list[Trace], disturbed: list[list[Trace]], *, steps: int, float64: str,
    share: float, reason: str,
) -> Reference:  # fmt: skip
    first, judged = runs[0], steps_judged(steps)
    names = list(dict.fromkeys(name for step in judged for name in first.ways[step]))
    eps = {name: first.eps.get(name, FLOOR * torch.finfo(torch.float32).eps) for name in names}
    reference = stacked(runs, names, judged)
    twins = stacked([trace for twin in disturbed for trace in twin], names, judged)
    envelope = ways.growth(reference, twins, eps)
    losses = judged_losses(runs, judged)
    loss_eps = max([each for each in first.eps.values() if each], default=0.0)
    return Reference(
        name=loop.name, steps=steps, seeds=[trace.seed for trace in runs], judged=judged,
        losses=losses,
        loss_envelope=losses_envelope.growth(
            losses, judged_losses([t for twin in disturbed for t in twin], judged), loss_eps
        ),
        tensors={
            name: Tracked(
                first.shapes.get(name, LATER), name in first.trained,
                torch.stack([trace.start.get(name, reference[name][0, 0]) for trace in runs]),
                reference[name], envelope[name],
            )
            for name in names
        },
        batch=_batches(runs),
        draws=any(trace.draws for trace in runs),
        settings=first.settings, layers=layers.recorded(loop, first.seed),
        environment=here(loop, first), twins=len(disturbed) - (not float64),
        float64=float64, repeats=share, reason=reason,
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
    )  # fmt: skip
