"""A check of ``reset_parameters``: it must give what the constructor of its class gave."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from initcheck.inspection.deferred import promises
from initcheck.inspection.fans import moments
from initcheck.inspection.findings import Finding, NotJudged
from initcheck.inspection.laws import differ
from initcheck.inspection.shown import shortened
from initcheck.inspection.start import Start, by_name
from initcheck.inspection.surroundings import seed_everything, without_network
from initcheck.inspection.tensors import Named, constant, same_bits, why_not_judged

RATE = 1e-4  # the probability that resets which draw from the same laws are judged otherwise
RATIO = 1.5  # variances that differ by less do not matter


def check_resets(start: Start) -> Iterator[Finding]:
    """Build again, call ``reset_parameters`` of the user's own classes, and compare.

    A tensor is judged if the class that promises to reset it also wrote it last when the module
    was built. An initialization of the whole module may give it other values. Of random numbers,
    one alone shows no law, and a buffer may hold any function of a few, as the noise of a layer.
    """
    judged = [
        each for each in start.tensors.values()
        if promises(type(each.owner), each.attribute) and _wrote(start, each)
        and not (start.drawn(each) and (each.tensor.numel() < 2 or not each.parameter))
    ]  # fmt: skip
    if not judged:
        return
    module = replace(start.subject, init=None)(start.seeds[1], None).module
    if not _reset(start, module):
        return
    after = by_name(module)
    changed: dict[str, list[Named]] = defaultdict(list)
    for each in judged:
        other = after.get(each.name)
        if other is not None and not why_not_judged(other.tensor):
            what = _difference(each, other, RATE / len(judged))
            if what:
                changed[what].append(each)
    for what, group in changed.items():
        yield start.finding(
            "effect", "fail", group, value=float(len(group)),
            message=f"After reset_parameters, {what}.",
            repair=f"Let the constructor of {type(group[0].owner).__name__} call reset_parameters.",
        )  # fmt: skip


def _reset(start: Start, module: nn.Module) -> bool:
    seed_everything(start.seeds[1], start.subject.device)
    for part in module.modules():
        reset = getattr(part, "reset_parameters", None)
        if callable(reset):
            try:
                with without_network():
                    reset()
            except Exception as error:  # noqa: BLE001 -- user code
                why = f"reset_parameters of {type(part).__name__} raised {type(error).__name__}"
                start.not_judged.append(NotJudged("effect", "reset_parameters", why))
                return False
    return True


def _difference(before: Named, after: Named, alpha: float) -> str:
    """How a tensor differs after the reset, in words; empty if it does not."""
    first, second = before.tensor, after.tensor
    if first.shape != second.shape or first.dtype != second.dtype:
        return "the shape or the dtype is another"
    if first.is_complex() or not first.is_floating_point() or not first.numel():
        return ""
    if constant(first):
        if same_bits(first, second):
            return ""
        value = float(first.detach().flatten()[0])
        other = f"{float(second.detach().flatten()[0]):.4g}" if constant(second) else "not constant"
        return f"entries that were {value:.4g} are {other}"
    one, two = moments(before), moments(after)
    low, high = sorted((one.variance, two.variance))
    if high >= RATIO * low and differ(one, two) < alpha:
        return (
            f"the standard deviation is {two.variance**0.5:.3g} instead of {one.variance**0.5:.3g}"
        )
    return ""


def _wrote(start: Start, each: Named) -> bool:
    """Whether the line that wrote a tensor last is in the class of its owner."""
    file, _, number = start.line(each).rpartition(":")
    return bool(file) and any(
        file == place and first <= int(number) <= last
        for place, first, last in _lines(type(each.owner))
    )


def _lines(owner: type) -> tuple[tuple[str, int, int], ...]:
    """The file, first and last line of a class and of the bases that are not of torch."""
    found = []
    for each in owner.__mro__:
        if each is object or each.__module__.startswith("torch."):
            continue
        try:
            lines, first = inspect.getsourcelines(each)
            file = inspect.getsourcefile(each) or ""
        except (TypeError, OSError):
            continue
        found.append((shortened(file), first, first + len(lines) - 1))
    return tuple(found)
