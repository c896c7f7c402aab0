"""What makes r meaningless, in a sentence: other tensors, another start or first batch, no end."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from initcheck.envelope.fingerprints import START_TOLERANCE
from initcheck.envelope.ways import apart
from initcheck.trajectory.reference import Reference, stacked
from initcheck.trajectory.traces import Trace

LATER = "made later"  # the shape of a tensor that appears in the course of training


def problem(runs: Sequence[Trace], reference: Reference) -> tuple[str, int | None]:
    """The first problem, and with how many steps the loop can be recorded as it is now.

    Args:
        runs: one for each seed of the reference, in its order; or for the first few of them.
        reference: what was recorded.

    Returns:
        A sentence, empty if there is no problem; and 0 if the loop cannot be recorded, None if it
        can with as many steps as before.
    """
    for trace in runs:
        structure = _structure(trace, reference)
        if structure:
            return structure, None
    data = _start(runs, reference) or _batch(runs, reference)
    if data:
        return data, None
    why, steps = _end(runs, reference)
    return (why, steps) if why else (_absent(runs, reference), None)


def _structure(now: Trace, reference: Reference) -> str:
    """What is new, missing or of another shape, in a sentence; empty if nothing."""
    then = {name: each.shape for name, each in reference.tensors.items() if each.shape != LATER}
    last = now.ways.get(max(now.ways, default=0), {})
    followed = {name for found in now.ways.values() for name in found}
    new = [name for name in now.shapes if name not in then and name in followed]
    new += [name for name in last if name not in {**reference.tensors, **now.shapes}]
    missing = [name for name in then if name not in now.shapes]
    if new or missing:
        parts = [f"{word} {_few(names)}" for word, names in (("new:", new), ("missing:", missing))
                 if names]  # fmt: skip
        return f"The model has other tensors than the recorded one ({'; '.join(parts)})."
    for name, shape in then.items():
        if now.shapes[name] != shape:
            return f"{name} is {now.shapes[name]} now and was {shape}."
    frozen = [n for n, each in reference.tensors.items() if each.trained and n not in now.trained]
    freed = [n for n in now.trained if n in then and not reference.tensors[n].trained]
    if frozen:
        return f"{_few(frozen)} trained in the record and is frozen now."
    if freed:
        return f"{_few(freed)} was frozen in the record and trains now."
    return ""


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _start(runs: Sequence[Trace], reference: Reference) -> str:
    changed = []
    for name, each in reference.tensors.items():
        for number, trace in enumerate(runs):
            if name not in trace.start:
                continue
            then = each.start[number]
            if not bool(apart(trace.start[name], then) <= START_TOLERANCE * then[-1]):
                changed.append((name, trace.seed))
                break
    if not changed:
        return ""
    name, seed = changed[0]
    return (
        f"The start has changed: with seed {seed}, {name} begins with other values than recorded "
        f"({len(changed)} of {len(reference.tensors)} tensors do). Training from another start "
        "cannot follow the record."
    )


def _batch(runs: Sequence[Trace], reference: Reference) -> str:
    if reference.batch is None:
        return ""
    for then, trace in zip(reference.batch, runs, strict=False):
        if trace.batch is None:
            return "The model is not called in the first step, and it was when it was recorded."
        if len(trace.batch) != len(then):
            return (
                f"The model is called with {len(trace.batch)} tensors in the first step, and "
                f"{len(then)} were recorded."
            )
        for number, (now, before) in enumerate(zip(trace.batch, then, strict=True)):
            if not bool(apart(now, before) <= START_TOLERANCE * before[-1].clamp(min=1e-30)):
                return (
                    f"The data have changed: with seed {trace.seed}, input {number} of the first "
                    "forward pass differs from the recorded one, and the start does not."
                )
    return ""


def _end(runs: Sequence[Trace], reference: Reference) -> tuple[str, int | None]:
    """Which loss is not finite, or who ends early."""
    for trace in runs:
        for step, loss in enumerate(trace.losses):
            if not torch.tensor(loss).isfinite():
                why = f"The loss is {loss} at step {step} with seed {trace.seed}. Only a loop "
                return f"{why}whose losses are finite can be judged or recorded.", 0
    early = min(runs, key=lambda trace: len(trace.losses))
    if len(early.losses) < reference.steps:
        return (
            f"It ends after {len(early.losses)} of {reference.steps} steps with seed {early.seed}.",
            len(early.losses),
        )
    return "", None


def _absent(runs: Sequence[Trace], reference: Reference) -> str:
    """The first tensor that is lost, made or not finite in training, and was not in the record."""
    judged, found = reference.judged, []
    for name, now in stacked(runs, [*reference.tensors], judged).items():
        then = reference.tensors[name].ways[: len(runs)]
        other = (now.isfinite().all(-1) != then.isfinite().all(-1)).nonzero()
        found += [(int(column), int(row), name) for row, column in other]
    if not found:
        return ""
    column, row, name = min(found, key=lambda each: each[:2])
    step, trace = judged[column], runs[row]
    when = f"after step {step} with seed {trace.seed}"
    if name not in trace.ways[step]:
        return f"{name} is no longer there {when}, and it was in the record."
    if not bool(trace.ways[step][name].isfinite().all()):
        return f"{name} is not finite {when}, and it was in the record."
    return f"{name} is there {when}, and it was not in the record."


def course(trace: Trace) -> tuple[str, ...]:
    """How tensors come, go or change their shape in training, and what a check sees of it."""
    found, steps = [], sorted(trace.ways)
    for name in dict.fromkeys(
        name for step in steps for name in [*trace.shapes, *trace.ways[step]]
    ):
        there = [step for step in steps if name in trace.ways[step]]
        if not there:
            found.append(f"{name} is gone after step {steps[0]}, so it is not followed.")
            continue
        if name not in trace.shapes:
            found.append(
                f"{name} is made in training and is there after step {there[0]}. From then on a "
                "check follows its values."
            )
        gone = [step for step in steps if step > there[0] and name not in trace.ways[step]]
        if gone:
            found.append(
                f"{name} is gone after step {gone[0]}. A check follows it until then, and expects "
                "that it is gone."
            )
    for name, (step, words) in trace.reshaped.items():
        before = trace.shapes[name]
        same = words.rpartition(" ")[0] == before.rpartition(" ")[0]  # another dtype alone
        follows = "A check follows it" if same else "From then on a check follows its values"
        found.append(f"{name} is {before} at the start and {words} after step {step}. {follows}.")
    return tuple(found)
