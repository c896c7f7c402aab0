"""A check of modules that are built on meta: what `reset_parameters` leaves unset."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from initcheck.inspection.findings import Finding, NotJudged
from initcheck.inspection.memory import WatchedMemory, unwritten
from initcheck.inspection.start import Start, by_name
from initcheck.inspection.tensors import Named, why_not_judged
from initcheck.inspection.ties import ties


def check_deferred(start: Start) -> Iterator[Finding]:
    """Build on meta, allocate by ``to_empty``, call every ``reset_parameters``: what is unset?

    A class that defines ``reset_parameters`` promises to set its own tensors. One that only
    inherits it, or has none, promises nothing; of these, torch's own layers are noted.
    """
    try:
        with torch.device("meta"):
            on_meta = replace(start.subject, init=None, device="cpu")  # nothing can leave meta
            module = on_meta(start.seeds[0]).module
    except Exception as error:  # noqa: BLE001 -- many modules compute while they are built
        why = f"it cannot be built on meta: {error}"
        start.not_judged.append(NotJudged("written", "deferred start", why))
        return
    with WatchedMemory("nan"):
        try:
            module.to_empty(device="cpu")
        except RuntimeError as error:  # as of a scripted module
            start.not_judged.append(NotJudged("written", "deferred start", str(error)))
            return
        try:
            for part in module.modules():
                reset = getattr(part, "reset_parameters", None)
                if callable(reset):
                    reset()
        except Exception as error:  # noqa: BLE001 -- user code
            why = f"reset_parameters of {type(part).__name__} raised {type(error).__name__}"
            start.not_judged.append(NotJudged("written", "deferred start", why))
            return
    yield from _differences(start, module)
    yield from _untied(start, module)


def _differences(start: Start, module: nn.Module) -> Iterator[Finding]:
    """What the deferred module leaves unset."""
    promised: dict[tuple[str, bool], list[Named]] = defaultdict(list)
    unset = []
    for name, each in by_name(module).items():
        eager = start.tensors.get(name)
        if eager is None or why_not_judged(each.tensor) or not _lost(each.tensor, eager.tensor):
            continue
        if promises(type(each.owner), each.attribute):
            promised[type(each.owner).__name__, each.parameter].append(eager)
        elif type(each.owner).__module__.startswith("torch.nn."):
            unset.append(eager)
    yield from _unset_by_reset(start, promised)
    if unset:
        owners = " and ".join(sorted({type(each.owner).__name__ for each in unset}))
        yield start.finding(
            "written", "note", unset, value=float(len(unset)),
            message=f"Built on meta, these stay unset: no reset_parameters of {owners} sets them. "
            "Built as here, they are set.",
            repair="If you build on meta, load a checkpoint after to_empty.",
        )  # fmt: skip


def promises(owner: type, attribute: str) -> bool:
    """Whether the class whose ``__init__`` makes a tensor also defines how to reset it.

    It does not if the tensor was added from outside, as weight normalization by a hook does.
    """
    for each in owner.__mro__:
        if "__init__" in vars(each) and _names(vars(each)["__init__"], attribute):
            return "reset_parameters" in vars(each)
        if "__init__" in vars(each) and "reset_parameters" not in vars(each):
            return False
    return False


def _names(function: Callable[..., object], attribute: str) -> bool:
    """Whether a function's code uses this name, as an attribute or as a text."""
    code = getattr(function, "__code__", None)
    return code is not None and attribute in {*code.co_names, *code.co_consts}


def _lost(deferred: Tensor, eager: Tensor) -> bool:
    """Whether an entry that the eager build sets is unset in the deferred one."""
    unset = unwritten(deferred, "nan")
    if not bool(unset.any()) or deferred.shape != eager.shape:
        return bool(unset.any())
    return bool((unset & ~unwritten(eager, "nan").to(deferred.device)).any())


def _untied(start: Start, module: nn.Module) -> Iterator[Finding]:
    """Ties that ``to_empty`` breaks, as it does for every module that does not tie again."""
    for group in sorted(ties(start.built.module) - ties(module)):
        known = [start.tensors[name] for name in group if name in start.tensors]
        if known:
            yield start.finding(
                "tied", "note", known, value=float(len(group)),
                message=f"{', '.join(group)} share memory, and no longer do if they are built on "
                "meta and allocated by to_empty.",
                repair="If you build on meta, tie them again after to_empty.",
            )  # fmt: skip


def _unset_by_reset(
    start: Start, promised: dict[tuple[str, bool], list[Named]]
) -> Iterator[Finding]:
    for (owner, parameter), found in promised.items():
        kind = "parameters" if parameter else "buffers"
        yield start.finding(
            "written", "fail", found, value=float(len(found)),
            message=f"Built on meta, then to_empty and every reset_parameters: {len(found)} {kind} "
            "stay unset.",
            repair=f"Set them in {owner}.reset_parameters.",
        )  # fmt: skip
