"""Checks that train a few steps: parameters that never get a gradient, copies that never part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import torch
from torch import Tensor

from initcheck.inspection.copies import equal_groups, equal_modules
from initcheck.inspection.findings import Finding, InspectionError, NotJudged
from initcheck.inspection.first import first_step
from initcheck.inspection.names import listed
from initcheck.inspection.observed import First
from initcheck.inspection.rounding import rounded_alone
from initcheck.inspection.start import Start
from initcheck.inspection.tensors import Named, any_nonzero, named_tensors, same_bits
from initcheck.inspection.waking import BATCHES, STEPS, Watch, train


def check_asleep(start: Start) -> Iterator[Finding]:
    """Train four steps from two seeds on three batches: whose gradient is zero at every step?

    The module is put into training mode. At each step every entry moves against the sign of its
    gradient by `waking.STEP`: unlike under SGD, a tiny gradient moves as far as a large one.
    """
    if not any(each.trainable for each in start.tensors.values()):
        start.not_judged.append(NotJudged("asleep", "", "no parameter is trainable"))
        return
    trainable = [each.name for each in start.tensors.values() if each.trainable]
    first = _first(start)
    if first is not None and first.awake.issuperset(trainable):
        first.moves.clear()
        start.wakes.update(dict.fromkeys(trainable, 1))  # no other step or seed changes that
        return
    watch = Watch()
    batches = [start.subject.next_batch() for _ in range(BATCHES - (first is not None))]
    batches = batches if first is None else [first.batch, *batches]
    for seed in start.seeds:
        if not train(start, seed, batches, watch):
            return
    asleep: list[Named] = []
    unused: list[Named] = []
    late: list[tuple[int, Named]] = []
    for each in start.tensors.values():
        if not each.trainable:
            continue
        wakes = watch.wakes(each.name, start.seeds)
        if wakes is None:
            starved = each.path in watch.called - watch.fed
            used = each.name in watch.reached and not starved
            (asleep if used else unused).append(each)
        elif wakes > 1:
            late.append((wakes, each))
    start.wakes.update(
        (each.name, watch.wakes(each.name, start.seeds))
        for each in start.tensors.values() if each.trainable
    )  # fmt: skip
    by_start = _woken_by_other_values(start, asleep, batches)
    yield from _asleep(start, [each for each in asleep if each.name in by_start])
    yield from _unreached(start, [each for each in asleep if each.name not in by_start])
    yield from _late(start, late)
    if unused:
        yield start.finding(
            "asleep", "note", unused, value=float(len(unused)),
            message="They took no part in the loss, or were given no sample.",
            repair="Freeze them if that is meant, or give a batch that reaches them.",
        )  # fmt: skip


def _first(start: Start) -> First | None:
    """The first step of the first seed; None if it cannot be taken."""
    try:
        return first_step(start)
    except InspectionError:
        return None  # the steps name the reason


def _asleep(start: Start, asleep: list[Named]) -> Iterator[Finding]:
    for owner, group in _by_owner(asleep).items():
        yield start.finding(
            "asleep", "fail", group, value=0.0,
            message=f"The gradient is exactly zero at steps 1 to {STEPS} of {len(start.seeds)} "
            f"seeds, and not with other values: these parameters of {owner} do not move.",
            repair="If two factors in series are zero, draw one of them at random; if a unit is "
            "dead or saturated, change its bias or its scale.",
        )  # fmt: skip


def _woken_by_other_values(start: Start, asleep: list[Named], batches: list[object]) -> set[str]:
    """Names of those that get a gradient once all of them hold random numbers.

    For these the start is to blame. For the others the loss does not depend on them on these
    batches, as for a detection head that no box was matched to, or a bias before a normalization.
    """
    if not asleep:
        return set()
    module = start.subject(start.seeds[0], None).module.train()
    names = {each.name for each in asleep}
    tensors = {each.name: each.tensor for each in named_tensors(module) if each.name in names}
    generator = torch.Generator().manual_seed(start.seeds[0])
    woken = set()
    for batch in batches:
        with torch.no_grad():
            for tensor in tensors.values():
                fan = max(tensor.numel() // max(len(tensor), 1), 1) if tensor.dim() else 1
                noise = torch.randn(tensor.shape, generator=generator) / fan**0.5
                tensor.copy_(noise.to(tensor.device))
        start.subject.first_loss(module, batch).backward()  # type: ignore[no-untyped-call]
        gradients = {
            name: each.grad.clone() for name, each in tensors.items()
            if name not in woken and each.grad is not None and any_nonzero(each.grad)
        }  # fmt: skip
        module.zero_grad()
        if gradients:
            rounded = rounded_alone(start.subject, module, batch, gradients)
            woken |= gradients.keys() - set(rounded)
    return woken


def _unreached(start: Start, tensors: list[Named]) -> Iterator[Finding]:
    if tensors:
        yield start.finding(
            "asleep", "note", tensors, value=float(len(tensors)),
            message="Their gradient is exactly zero on these batches, with other values too: the "
            "loss does not depend on them.",
            repair="Look for a rounding, an argmax or a mask, or give a batch that reaches them.",
        )  # fmt: skip


def _late(start: Start, late: list[tuple[int, Named]]) -> Iterator[Finding]:
    by_step = defaultdict(list)
    for wakes, each in late:
        by_step[wakes].append(each)
    for wakes, group in sorted(by_step.items()):
        yield start.finding(
            "asleep", "note", group, value=float(wakes),
            message=f"They wake at step {wakes}: the gradient is exactly zero before, as behind a "
            "branch that starts at zero.",
        )  # fmt: skip


def _by_owner(tensors: list[Named]) -> dict[str, list[Named]]:
    groups = defaultdict(list)
    for each in tensors:
        groups[type(each.owner).__name__].append(each)
    return groups


# --- locked ---------------------------------------------------------------------------------------


def check_locked(start: Start) -> Iterator[Finding]:
    """Copies that two steps of SGD and two of Adam do not part: they stay copies."""
    groups = equal_groups(start)
    if not groups:
        return
    batches = [start.subject.next_batch() for _ in range(2)]
    locked = [{each.name for each in group} for group in groups]
    for optimizer in (torch.optim.SGD, torch.optim.Adam):
        module = start.subject(start.seeds[0], None).module.train()
        tensors = {each.name: each.tensor for each in named_tensors(module)}
        before = {name: tensors[name].detach().clone() for names in locked for name in names}
        steps = optimizer([t for t in tensors.values() if t.requires_grad], lr=1e-2)
        for batch in batches:
            steps.zero_grad()
            start.subject.first_loss(module, batch).backward()  # type: ignore[no-untyped-call]
            steps.step()
        moved = {name for name, old in before.items() if not same_bits(old, tensors[name])}
        locked = [_still_equal(names & moved, tensors) for names in locked]
    still = [[start.tensors[name] for name in start.tensors if name in names] for names in locked]
    yield from _locked(start, [group for group in still if len(group) > 1])


def _locked(start: Start, groups: list[list[Named]]) -> Iterator[Finding]:
    """One finding for each set of modules that are locked as a whole, then for the other groups."""
    for paths in equal_modules(start, groups):
        inside = [
            each for group in groups for each in group
            if any(each.name.startswith(f"{path}.") for path in paths)
        ]  # fmt: skip
        yield start.finding(
            "distinct", "fail", inside, value=float(len(paths)),
            message=f"{len(paths)} modules are locked: after two steps of SGD and two of Adam they "
            f"have moved and are still equal in bits: {listed(paths)}.",
            repair="Draw each one separately: equal gradients keep them equal for ever.",
        )  # fmt: skip
        taken = {each.name for each in inside}
        groups = [[each for each in group if each.name not in taken] for group in groups]
    for group in groups:
        if len(group) > 1:
            yield start.finding(
                "distinct", "fail", group, value=float(len(group)),
                message=f"{len(group)} copies are locked: after two steps of SGD and two of Adam "
                "they have moved and are still equal in bits.",
                repair="Draw each one separately: equal gradients keep them equal for ever.",
            )  # fmt: skip


def _still_equal(names: set[str], tensors: dict[str, Tensor]) -> set[str]:
    """The largest subset whose tensors are equal in bits; empty if all differ."""
    groups: list[list[str]] = []
    for name in sorted(names):
        for group in groups:
            if same_bits(tensors[group[0]], tensors[name]):
                group.append(name)
                break
        else:
            groups.append([name])
    largest = max(groups, key=len, default=[])
    return set(largest) if len(largest) > 1 else set()
