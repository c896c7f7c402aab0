"""Checks by building again: memory that nobody wrote, and seeds without effect."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from initcheck.inspection.beyond import check_shared
from initcheck.inspection.findings import Finding, InspectionError, SameModuleError
from initcheck.inspection.memory import unwritten
from initcheck.inspection.start import Start, by_name, same, telling
from initcheck.inspection.subject import ELSEWHERE
from initcheck.inspection.surroundings import seed_everything
from initcheck.inspection.tensors import Named, named_tensors, same_bits, why_not_judged
from initcheck.inspection.unchanged import cloned, unchanged
from initcheck.inspection.watching import other_inner_seeds


def check_written_and_rebuilt(start: Start) -> Iterator[Finding]:
    """Build again from the same seed, with other values in memory that nobody writes.

    A difference that follows these values is unwritten memory; any other is a start that does not
    depend on its seed alone.
    """
    first, subject, seed = start.tensors, start.subject, start.seeds[0]
    second = subject(seed, "number", elsewhere=True).module
    if second is start.built.module:
        raise SameModuleError(
            f"{subject.name} returned the same module twice. Build a new one at each call."
        )
    yield from _seeds_the_global(start)
    again = by_name(second)
    changed = [each for name, each in first.items() if not same(each, again.get(name))]
    if not changed:
        return
    same_fill = by_name(subject(seed, "nan", elsewhere=True).module)
    unstable = [each for each in changed if not same(each, same_fill.get(each.name))]
    unstable_names = {each.name for each in unstable}
    late = [each for each in changed if not each.parameter and each.name not in unstable_names]
    filled = _filled_by_a_pass(start, second, late)
    for each in changed:
        if each.name in unstable_names:
            continue
        if each.name in filled:
            yield start.finding(
                "written", "note", [each], value=float(each.tensor.numel()),
                message="This buffer comes from memory that nobody wrote, until the first forward "
                "pass fills it.",
                repair="Fill it in the constructor, if something reads it before.",
            )  # fmt: skip
            continue
        count = int((unwritten(each.tensor, "nan")).sum()) or each.tensor.numel()
        kind = "parameter" if each.parameter else "buffer"
        yield start.finding(
            "written", "fail", [each], value=float(count),
            message=f"{count} of {each.tensor.numel()} entries of this {kind} come from memory "
            "that nobody wrote: their values are whatever was there.",
            repair="Write it after torch.empty, or use torch.zeros.",
        )  # fmt: skip
    if unstable:
        yield from _unstable(start, unstable)


def _seeds_the_global(start: Start) -> Iterator[Finding]:
    """Note a build with a seed that seeds torch's global generator; call it after such a build."""
    subject = start.subject
    if subject.seeded_by and torch.initial_seed() != start.seeds[0] + ELSEWHERE:
        yield Finding(
            check="rebuilt", severity="note", parameters=(),
            owner=type(start.built.module).__name__,
            message=f"{subject.name} takes a seed and seeds torch's global generator with it: what "
            "draws from that afterwards, as dropout does, repeats after each build.",
            repair="Draw from torch.Generator().manual_seed(seed).",
        )  # fmt: skip


def _filled_by_a_pass(start: Start, second: nn.Module, late: list[Named]) -> set[str]:
    """Names of buffers that a first forward pass fills before it reads them.

    Both builds, with other values in unwritten memory, then give one loss and the same buffers.
    """
    if not late or start.subject.batch is None:
        return set()
    passes = []
    for module in (start.built.module, second):
        with unchanged(module):
            module.train()
            seed_everything(start.seeds[0], start.subject.device)
            try:
                loss = start.subject.first_loss(module, cloned(start.subject.next_batch()))
            except InspectionError:
                return set()  # check ``asleep`` says why
            tensors = {each.name: each.tensor.clone() for each in named_tensors(module)
                       if not each.parameter and not why_not_judged(each.tensor)}  # fmt: skip
        passes.append((loss.detach(), tensors))
    (one, before), (two, after) = passes
    if not same_bits(one, two):
        return set()
    return {
        each.name for each in late
        if each.name in before and each.name in after
        and same_bits(before[each.name], after[each.name])
    }  # fmt: skip


def _unstable(start: Start, unstable: list[Named]) -> Iterator[Finding]:
    subject, seed = start.subject, start.seeds[0]
    if subject.seeded_by:
        repeated = by_name(subject(seed, "nan").module)
        if all(same(each, repeated.get(each.name)) for each in unstable):
            yield start.finding(
                "rebuilt", "fail", unstable,
                message="Two builds with the same seed differ if the global generators do: "
                f"{subject.name} takes a seed and does not use it for these.",
                repair="Draw from a generator that is made from the seed.",
            )  # fmt: skip
            return
    yield start.finding(
        "rebuilt", "fail", unstable,
        message="Two builds from the same seed of torch, numpy and random differ in bits.",
        repair="Find what they depend on: the time, a counter, the order of a set, an unseeded "
        "generator.",
    )  # fmt: skip


def check_seed_has_effect(start: Start) -> Iterator[Finding]:
    """Build from another seed: every parameter of random numbers must differ.

    Those of numpy and of Python are found by one more build, in which the seeds that it sets
    itself are moved.
    """
    second = start.subject(start.seeds[1]).module
    yield from check_shared(start, second)
    other = by_name(second)
    random = [
        each for each in start.tensors.values()
        if each.trainable and start.drawn(each) and telling(each.tensor)
    ]  # fmt: skip
    start.fixed = {name for name, each in start.tensors.items() if same(each, other.get(name))}
    yield from _seeded_inside(start)
    equal = [each for each in random if each.name in start.fixed]
    if not equal:
        return
    everything = len(equal) == len(random)
    yield start.finding(
        "rebuilt", "fail", equal, value=float(len(equal)),
        message=f"{'All' if everything else len(equal)} of {len(random)} parameters with random "
        f"numbers are the same for seeds {start.seeds[0]} and {start.seeds[1]}: the seed has no "
        "effect on them.",
        repair="Do not seed inside the function that builds or initializes.",
    )  # fmt: skip


def _seeded_inside(start: Start) -> Iterator[Finding]:
    """What no seed of the build changes, and a seed of numpy or Python inside it does."""
    tables = [
        each for each in start.tensors.values()
        if each.trainable and each.name in start.fixed and not start.drawn(each)
        and telling(each.tensor)
    ]  # fmt: skip
    if not tables:
        return
    with other_inner_seeds():
        moved = by_name(start.subject(start.seeds[0]).module)
    seeded = [each for each in tables if not same(each, moved.get(each.name))]
    if seeded:
        yield start.finding(
            "rebuilt", "fail", seeded, value=float(len(seeded)),
            message=f"They are the same for seeds {start.seeds[0]} and {start.seeds[1]}: the build "
            "draws them from numpy or Python with a seed that it sets itself.",
            repair="Draw from the global generator, or from one that is made from the seed.",
        )  # fmt: skip
