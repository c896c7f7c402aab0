"""Is a loop unchanged: its runs now against its reference, start first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from initcheck.envelope.compare import CHAOS, distance, typical
from initcheck.envelope.ways import Outside, outside
from initcheck.trajectory.problems import LATER, problem
from initcheck.trajectory.reference import Reference, judged_losses, stacked
from initcheck.trajectory.seeds import FACTOR, OfSeed, allowed, of_seed
from initcheck.trajectory.traces import KERNELS, Trace


@dataclass(frozen=True)
class Comparison:
    """How a loop compares with its reference.

    Attributes:
        verdict: ``unchanged``, ``changed`` or ``undecided``; or ``unconfirmed`` if the typical seed
            follows the record and another one does not, which ``confirmed`` decides.
        why: the reason in a sentence or two.
        r: the largest distance in envelopes, of losses and tensors, of the typical seed: the lower
            median; None if nothing was judged.
        loss_r: the losses' own, None if no loss was judged.
        first_step: the first judged step outside, or None.
        tensor: the tensor that is farthest outside at that step; empty if only the loss is.
        tensors: r of each tensor at each judged step.
        losses: r ``(J,)`` of the losses, 0 where they are not judged.
        not_judged: tensors that rounding alone moves too far, at every step.
        moved: whether a parameter that trains moved in the record.
        notes: what else is worth knowing, in sentences.
        seeds: how far each seed is from its own record; empty if nothing was judged.
        steps: the number of steps with which the loop as it is now can be recorded: 0 if it cannot,
            None if as many as before.
        course: of a recording, sentences about tensors that come, go or change in training.
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
    seeds: tuple[OfSeed, ...] = ()
    steps: int | None = None
    course: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the loop is unchanged."""
        return self.verdict == "unchanged"

    @property
    def loss_alone(self) -> bool:
        """Whether losses are outside, and no tensor of any seed is."""
        changed = [each for each in self.seeds if each.changed]
        return bool(changed) and all(each.loss_alone for each in changed)


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
    why, steps = problem(runs, reference)
    if why:
        return Comparison("changed", why, notes=notes, steps=steps)
    return _trajectories(runs, reference, notes)


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
        return Comparison("undecided", why, None, moved=False, steps=0, **common)
    if not values or set(moved) <= set(not_judged):
        why = "Rounding alone moves every tensor by more than 3 % of its way."
        return Comparison("undecided", why, None, steps=0, **common)
    r = max(values)
    may = allowed(r)
    common["seeds"] = tuple(of_seed(trace, reference, found.judged, may) for trace in runs)
    if r <= FACTOR:
        why = f"It follows its record within {max(r, 0.01):.2g} envelopes."
        needed = any(each.changed for each in common["seeds"])
        return Comparison("unconfirmed" if needed else "unchanged", why, r, **common)
    other_noise = _other_noise(runs[0], reference) if losses[0] > FACTOR else ""
    if other_noise:
        return Comparison("undecided", other_noise, r, **common)
    step, tensor = _left(found, losses, judged)
    return Comparison(
        "changed",
        f"It leaves its record at step {step}, {tensor or 'the loss'} first. At most it is "
        f"{r:.3g} envelopes of rounding away, in {_farthest(found, losses, judged)}, and "
        f"{FACTOR:g} are allowed.",
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


def _farthest(found: Outside, losses: Tensor, judged: Sequence[int]) -> str:
    """Where r is largest, as ``head.bias at step 4``."""
    table = torch.cat([found.r, losses[None]])
    row, column = divmod(int(table.argmax()), len(judged))
    return f"{[*found.names, 'the loss'][row]} at step {judged[column]}"


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
            if name in KERNELS:  # older files have them
                continue
            of = f"{name} of group {group}" if group else f"the optimizer's {name}"
            found.setdefault(key, f"At step {step}, {of} is {after} and was {before}.")
    return list(found.values())
