"""Is a loop unchanged: its runs now against its reference, start first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from initcheck.envelope.compare import CHAOS, distance, typical
from initcheck.envelope.fingerprints import START_TOLERANCE
from initcheck.envelope.ways import Outside, apart, outside
from initcheck.trajectory.reference import Reference, judged_losses, stacked
from initcheck.trajectory.traces import Trace

#: In envelopes: the largest distance of an unchanged loop; docs/unchanged.md says why.
FACTOR = 10.0


@dataclass(frozen=True)
class Comparison:
    """How a loop compares with its reference.

    Attributes:
        verdict: ``unchanged``, ``changed`` or ``undecided``.
        why: the reason in one sentence.
        r: the largest distance in envelopes, of losses and tensors; None if nothing was judged.
        loss_r: the losses' own, None if no loss was judged.
        first_step: the first judged step outside, or None.
        tensor: the tensor that is farthest outside at that step; empty if only the loss is.
        tensors: r of each tensor at each judged step.
        losses: r ``(J,)`` of the losses, 0 where they are not judged.
        not_judged: tensors that rounding alone moves too far, at every step.
        moved: whether a parameter that trains moved in the record.
        notes: what else is worth knowing, in sentences.
    """

    verdict: str
    why: str
    r: float | None = None
    loss_r: float | None = None
    first_step: int | None = None
    tensor: str = ""
    tensors: Outside | None = None
    losses: Tensor | None = None
    not_judged: tuple[str, ...] = ()
    moved: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the loop is unchanged."""
        return self.verdict == "unchanged"


def compare(runs: Sequence[Trace], reference: Reference) -> Comparison:
    """Compare runs with a reference.

    Args:
        runs: one for each seed of the reference, in its order; or for the first few of them.
        reference: what was recorded.
    """
    notes = _optimizer(runs[0].settings, reference.settings)
    elsewhere = runs[0].device != str(reference.environment["device type"])
    if elsewhere and (reference.draws or runs[0].draws):
        return Comparison(
            "undecided",
            f"It was recorded on {reference.environment['device type']} and ran on "
            f"{runs[0].device}, and its model draws random numbers, which differ between devices. "
            "Record it on this device, or set dropout to 0.",
            notes=notes,
        )
    problem = _structure(runs[0], reference) or _start(runs, reference) or _batch(runs, reference)
    problem = problem or _finite(runs, reference)
    if problem:
        return Comparison("changed", problem, notes=notes)
    return _trajectories(runs, reference, notes)


def _structure(now: Trace, reference: Reference) -> str:
    """What is new, missing or of another shape, in a sentence; empty if nothing."""
    then = {name: each.shape for name, each in reference.tensors.items() if each.shape != LATER}
    last = now.ways.get(max(now.ways, default=0), {})
    new = [name for name in now.shapes if name not in then]
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


LATER = "made later"  # the shape of a tensor that appears in the course of training


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


def _finite(runs: Sequence[Trace], reference: Reference) -> str:
    """What is not finite, or ends early."""
    for trace in runs:
        for step, loss in enumerate(trace.losses):
            if not torch.tensor(loss).isfinite():
                return f"The loss is {loss} at step {step} with seed {trace.seed}."
        if len(trace.losses) < reference.steps:
            return (
                f"It ends after {len(trace.losses)} of {reference.steps} steps with seed "
                f"{trace.seed}."
            )
    return ""


def _trajectories(runs: Sequence[Trace], reference: Reference, notes: list[str]) -> Comparison:
    count, judged = len(runs), reference.judged
    names = list(reference.tensors)
    found = outside(
        stacked(runs, names, judged),
        {name: each.ways for name, each in reference.tensors.items()},
        {name: each.envelope for name, each in reference.tensors.items()},
    )
    losses, calm = loss_ratio(judged_losses(runs, judged), reference, count)
    loss_r = float(losses.max()) if calm.any() else None
    not_judged = tuple(n for n, row in zip(names, found.judged, strict=True) if not row.any())
    values = [each for each in (found.largest, loss_r) if each is not None]
    moved = [
        name for name, each in reference.tensors.items()
        if (each.trained or each.shape == LATER) and bool((each.ways[..., -1] > 0).any())
    ]  # fmt: skip
    common: dict[str, Any] = {
        "loss_r": loss_r, "tensors": found, "losses": losses, "not_judged": not_judged,
        "notes": notes,
    }  # fmt: skip
    if not moved:
        why = f"No parameter moved in {reference.steps} steps."
        return Comparison("undecided", why, None, moved=False, **common)
    if not values or set(moved) <= set(not_judged):
        why = "Rounding alone moves every tensor by more than 3 % of its way."
        return Comparison("undecided", why, None, **common)
    r = max(values)
    if r <= FACTOR:
        return Comparison(
            "unchanged", f"It follows its record within {max(r, 0.01):.2g} envelopes.", r, **common
        )
    other_noise = _other_noise(runs[0], reference) if losses[0] > FACTOR else ""
    if other_noise:
        return Comparison("undecided", other_noise, r, **common)
    step, tensor = _left(found, losses, judged)
    return Comparison(
        "changed",
        f"It leaves its record at step {step}, {tensor or 'the loss'} first. At most it is "
        f"{r:.3g} envelopes of rounding away, and {FACTOR:g} are allowed.",
        r, first_step=step, tensor=tensor, **common,
    )  # fmt: skip


def _other_noise(now: Trace, reference: Reference) -> str:
    """Why the first loss may differ by other random numbers alone; empty if it may not."""
    compiled = "compiled" if now.compiled else "eager"
    was = str(reference.environment["model"])
    if compiled == was or not (reference.draws or now.draws):
        return ""
    return (
        f"The model was {was} in the record and is {compiled} now. It draws random numbers, a "
        "compiled model may draw others, and the first loss differs. Record it as it is now, or "
        "set dropout to 0."
    )


def loss_ratio(losses: Tensor, reference: Reference, count: int) -> tuple[Tensor, Tensor]:
    """The losses' distance in envelopes ``(J,)``, and where it is judged."""
    calm = reference.loss_envelope <= CHAOS
    ratio = distance(losses, reference.losses[:count]) / reference.loss_envelope
    return typical(ratio.nan_to_num(nan=torch.inf, posinf=torch.inf)).where(calm, 0.0), calm


def _left(found: Outside, losses: Tensor, judged: Sequence[int]) -> tuple[int, str]:
    """The first judged step outside, and the tensor that is farthest outside then."""
    first = found.first(FACTOR)
    late = len(judged)
    of_loss = next((k for k, r in enumerate(losses) if r > FACTOR), late)
    if first is None or first[0] > of_loss:
        return judged[of_loss], ""
    return judged[first[0]], first[1]


def _optimizer(
    now: Mapping[int, Mapping[str, Any]], then: Mapping[int, Mapping[str, Any]]
) -> list[str]:
    """Sentences about the optimizer's settings that differ."""
    found: dict[str, str] = {}
    for step in then:
        if step not in now:
            continue
        for key in dict.fromkeys([*then[step], *now[step]]):
            before, after = then[step].get(key), now[step].get(key)
            if before is None or after is None or before == after:
                continue  # another version of torch has other settings
            group, _, name = key.rpartition(" ")
            of = f"{name} of group {group}" if group else f"the optimizer's {name}"
            found.setdefault(key, f"At step {step}, {of} is {after} and was {before}.")
    return list(found.values())
