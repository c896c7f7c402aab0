"""The ways of an arm's tensors: making their part of its record, and comparing with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from initcheck.envelope import ways
from initcheck.envelope.compare import FACTOR, Departure, steps_judged
from initcheck.envelope.fingerprints import BEYOND
from initcheck.envelope.ways import Outside, rounded
from initcheck.training.train import Trained

NORM_DIGITS = 2  # the length of a way only decides whether it is judged
ENVELOPE_DIGITS = 3
ALONE = "judged by its losses alone, since its record has no sketches of tensors"

Ways = dict[str, Tensor]  # by tensor: (S, J, K + 1), for each seed and step a sketch


def record(trained: Trained, disturbed: Sequence[Trained], steps: Sequence[int]) -> dict[str, Any]:
    """The part of a record that is about tensors: by name, the sketches and the envelope.

    Each tensor is recorded up to the first of the steps at which it is not finite.

    Args:
        trained: the reference, S seeds.
        disturbed: twins; each holds the reference's seeds in its order, once or several times.
        steps: the judged steps that are recorded, which may be fewer than the arm has.

    Returns:
        ``{name: {"sketches": (S, J, K + 1), "envelope": (J,)}}`` as lists, with no more digits than
        the envelope asks for; empty if the reference or a twin was not sketched.
    """
    every = [_at(each, steps) for each in (trained, *disturbed)]
    known = [sketches for sketches in every if sketches is not None]
    if len(known) < len(every) or not steps:
        return {}
    reference, *others = known
    twins = {name: torch.cat([other[name] for other in others]) for name in reference}
    widths = ways.growth(reference, twins, _epsilons(trained))
    return {
        name: _as_json(sketches, widths[name])
        for name, sketches in reference.items() if sketches[:, 0].isfinite().all()
    }  # fmt: skip


def outside(trained: Trained, recorded: Mapping[str, Any]) -> Outside | None:
    """Compare the ways of the seeds that were trained with their record.

    Args:
        trained: the arm, whose first seeds are the reference's.
        recorded: the reference, as ``initcheck.gate.reference.record`` returns it.

    Returns:
        The distances in envelopes at the recorded steps; infinite where a way is not finite now,
        since all recorded ones are. None if the arm was not sketched, now or when it was recorded.
    """
    now = _at(trained, recorded["steps"])
    return None if now is None or not recorded.get("ways") else _compared(now, recorded)


def between(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Outside | None:
    """Compare one record of an arm with another; None if they have not the same sketches."""
    steps, before = len(ours["steps"]), ours.get("ways", {})
    now = {name: _padded(way["sketches"], steps) for name, way in theirs.get("ways", {}).items()}
    alike = now.keys() == before.keys() and all(
        torch.tensor(before[name]["sketches"]).shape
        == torch.tensor(theirs["ways"][name]["sketches"]).shape
        for name in before
    )
    return _compared(now, ours) if before and alike else None


def _compared(now: Ways, recorded: Mapping[str, Any]) -> Outside:
    before, steps = recorded["ways"], len(recorded["steps"])
    count = len(next(iter(now.values())))
    reference = {name: _padded(each["sketches"], steps)[:count] for name, each in before.items()}
    envelope = {name: _padded(each["envelope"], steps) for name, each in before.items()}
    snapped = {name: _snapped(now[name], reference[name], envelope[name]) for name in before}
    found = ways.outside(snapped, reference, envelope)
    broken = torch.stack([
        ~now[name].isfinite().all(-1).all(0) & envelope[name].isfinite() for name in before
    ])  # fmt: skip
    return Outside(found.names, found.r.masked_fill(broken, torch.inf), found.judged)


def departure(
    losses: Tensor | None, tensors: Outside | None, recorded: Mapping[str, Any], why_not: str
) -> Departure:
    """Losses and tensors as one: the larger r, and what left first.

    Args:
        losses: ``(J,)``, their distance in envelopes at each recorded step; None if not judged.
        tensors: as ``outside`` returns it.
        recorded: the reference.
        why_not: why the losses are not judged.
    """
    loss_r = None if losses is None or not len(losses) else float(losses.max())
    way_r = None if tensors is None else tensors.largest
    if way_r is not None and way_r <= FACTOR and not far_enough(recorded):
        way_r = None  # nothing moves, now as then: this proves nothing
    if tensors is None:
        why_not = why_not or ALONE * ("ways" not in recorded)
    elif way_r is not None:
        why_not = ""
    r = max((each for each in (loss_r, way_r) if each is not None), default=None)
    if r is None or r <= FACTOR:
        return Departure(r, loss_r=loss_r, why_not=why_not)
    steps = recorded["steps"]
    first = tensors.first(FACTOR) if tensors is not None else None
    by_loss = [] if losses is None else (losses > FACTOR).nonzero().flatten().tolist()
    place = min([*by_loss[:1], *(first[:1] if first else ())])
    if tensors is None or first is None or first[0] > place:
        return Departure(r, loss_r=loss_r, first_step=steps[place], why_not=why_not)
    return Departure(
        r, loss_r=loss_r, first_step=steps[place], tensor=first[1],
        tensor_r=float(tensors.r[:, place].max()), why_not=why_not,
    )  # fmt: skip


def unlike(trained: Trained, recorded: Mapping[str, Any]) -> str:
    """Why the recorded tensors cannot be this arm's, or an empty text."""
    now, before = _at(trained, recorded["steps"]), recorded.get("ways")
    if now is None or not before:
        return ""
    for name in dict.fromkeys([*before, *now]):
        if name not in now:
            return f"has sketches of a tensor '{name}', and this arm has no such tensor"
        steps = len(before[name]["envelope"]) if name in before else 0
        if steps < len(recorded["steps"]) and now[name][:, steps].isfinite().all():
            return f"lacks a sketch of its tensor '{name}' at step {recorded['steps'][steps]}"
        if steps and len(before[name]["sketches"][0][0]) != now[name].shape[-1]:
            return f"has sketches of '{name}' with another number of products"
    return ""


def far_enough(recorded: Mapping[str, Any]) -> bool:
    """Whether any tensor goes so far that following its way proves something.

    If rounding moves it by more than ``WAY_CHAOS`` of its way, it is not judged; and a tensor that
    does not move proves nothing by staying where it is.
    """
    for each in recorded.get("ways", {}).values():
        norms = torch.tensor(each["sketches"], dtype=torch.float64)[..., -1]
        gone = norms.kthvalue((len(norms) + 1) // 2, dim=0).values
        width = torch.tensor(each["envelope"], dtype=torch.float64)
        if ((gone > 0) & (width <= ways.WAY_CHAOS * gone)).any():
            return True
    return False


def _at(trained: Trained, steps: Sequence[int]) -> Ways | None:
    """The sketches of all seeds at some of the judged steps; None if a seed was not sketched."""
    each = [way for way in trained.ways if way is not None]
    if not each or len(each) < len(trained.seeds):
        return None
    places = [steps_judged(trained.arm.recipe.steps).index(step) for step in steps]
    return {name: torch.stack([way[name] for way in each])[:, places] for name in each[0]}


def _epsilons(trained: Trained) -> dict[str, float]:
    """The machine epsilon of each tensor's dtype."""
    tensors = trained.parameters | trained.buffers
    return {
        name: torch.finfo(tensor.dtype).eps for name, tensor in tensors.items()
        if tensor.is_floating_point() or tensor.is_complex()
    }  # fmt: skip


def _padded(numbers: Any, steps: int) -> Tensor:
    """Recorded numbers ``(J,)`` or ``(S, J, K + 1)`` with as many steps as the losses have.

    A tensor is not recorded after the step at which it is not finite: the added envelopes are
    infinite, so nothing is judged there.
    """
    tensor = torch.tensor(numbers, dtype=torch.float64)
    if tensor.dim() == 1:
        return torch.cat([tensor, tensor.new_full((steps - len(tensor),), torch.inf)])
    seeds, known, width = tensor.shape
    return torch.cat([tensor, tensor.new_zeros(seeds, steps - known, width)], 1)


def _snapped(now: Tensor, reference: Tensor, envelope: Tensor) -> Tensor:
    """The sketches, with products that equal the recorded ones after rounding replaced by them.

    So a run that repeats its record bit by bit is at a distance of exactly 0.
    """
    quantum = 10 ** (envelope / ways.SHOWN).log10().floor()
    equal = (now - reference).abs() <= 0.5000001 * quantum[:, None]
    equal[..., -1] = False
    return torch.where(equal, reference, now)


def _as_json(sketches: Tensor, widths: Tensor) -> dict[str, Any]:
    """One tensor's record, up to the last step before it is not finite."""
    finite = sketches.isfinite().all(-1).all(0)
    steps = int(finite.cumprod(0).sum())
    envelope = [_digits(min(width, BEYOND), ENVELOPE_DIGITS) for width in widths[:steps].tolist()]
    return {
        "sketches": [
            [
                [*(rounded(product, width) for product in products), _digits(norm, NORM_DIGITS)]
                for (*products, norm), width in zip(seed, envelope, strict=True)
            ]
            for seed in sketches[:, :steps].tolist()
        ],
        "envelope": envelope,
    }


def _digits(value: float, digits: int) -> float:
    return float(f"{value:.{digits}g}")
