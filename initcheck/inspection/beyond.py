"""Checks of what no step and no file carries along: frozen tensors, unsaved ones, shared builds."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from initcheck.inspection.findings import Finding
from initcheck.inspection.start import Start, by_name, telling
from initcheck.inspection.tensors import Named, constant, digest, storage


def check_shared(start: Start, other: nn.Module) -> Iterator[Finding]:
    """Parameters that another build holds too, though both modules exist."""
    there = by_name(other)
    shared = [
        each for name, each in start.tensors.items()
        if each.parameter and name in there and each.tensor.numel()
        and 0 != storage(each.tensor) == storage(there[name].tensor)
    ]  # fmt: skip
    if shared:
        yield start.finding(
            "rebuilt", "fail", shared, value=float(len(shared)),
            message="Two builds hold it in the same memory: a step of one module changes the "
            "other.",
            repair="Create it in the constructor: a default argument and an attribute of the class "
            "are made only once.",
        )  # fmt: skip


def check_unsaved(start: Start) -> Iterator[Finding]:
    """Buffers that depend on the seed and are left out of the state_dict."""
    lost = [
        each for name, each in start.tensors.items()
        if not each.parameter and name not in start.fixed and telling(each.tensor)
        and each.tensor.is_floating_point()
        and each.attribute in each.owner._non_persistent_buffers_set  # noqa: SLF001
    ]  # fmt: skip
    if lost:
        yield start.finding(
            "rebuilt", "warn", lost, value=float(len(lost)),
            message="It differs from seed to seed and is not in the state_dict: a module that "
            "loads these weights computes with other numbers.",
            repair="Register it with persistent=True, or draw it from a fixed seed.",
        )  # fmt: skip


def check_frozen(start: Start) -> Iterator[Finding]:
    """Parameters that no optimizer moves: weights of zeros, and random numbers."""
    parameters = [each for each in start.tensors.values() if each.parameter]
    frozen = [each for each in parameters if not each.trainable and each.tensor.numel()]
    if len(frozen) == len(parameters):
        return  # check `asleep` says that nothing is trained
    zeros = [each for each in frozen if _is_zero(each)]
    if zeros:
        yield start.finding(
            "asleep", "warn", zeros, value=float(len(zeros)),
            message="It is zero and frozen: no step changes it, and nothing passes through it.",
            repair="Set requires_grad, or load or draw its values.",
        )  # fmt: skip
    drawn = [
        each for each in frozen
        if each.name not in start.fixed and start.drawn(each) and telling(each.tensor)
    ]  # fmt: skip
    shapes = {each.tensor.shape for each in drawn}
    moving = [each for each in parameters if each.trainable and each.tensor.shape in shapes]
    copied = {digest(each.tensor) for each in moving}  # an averaged teacher starts as its student
    drawn = [each for each in drawn if digest(each.tensor) not in copied]
    if drawn:
        yield start.finding(
            "asleep", "note", drawn, value=float(len(drawn)),
            message="It is frozen with random numbers: no step changes them, and no checkpoint was "
            "loaded into it.",
            repair="Load its weights after the build, unless random ones are meant.",
        )  # fmt: skip


def _is_zero(each: Named) -> bool:
    tensor = each.tensor.detach()
    return tensor.dim() >= 2 and constant(tensor) and not bool(tensor.any())


_ROWS = 64  # a table of positions has more
_VALUES = 64  # a mask has fewer
_FEW = 4  # rows that are equal by rounding are many


def check_tables(start: Start) -> Iterator[Finding]:
    """Tables in buffers with rows that equal the row before, as positions do that were rounded."""
    for each in start.tensors.values():
        table = each.tensor.detach()
        if each.parameter or not table.is_floating_point() or table.dim() < 2:
            continue
        rows = table.flatten(0, -2)
        one = len(rows) == table.shape[-2] and len(rows) >= _ROWS  # not a stack of tables
        if not one or len(torch.unique(rows[:_ROWS])) < _VALUES:
            continue
        varied = (rows[1:] != rows[1:, :1]).any(1)
        count = int(((rows[1:] == rows[:-1]).all(1) & varied).sum())
        if _FEW <= count < len(rows) / 2:
            yield start.finding(
                "units", "warn", [each], value=float(count),
                message=f"{count} of {len(rows)} rows of this table equal the row before, so these "
                "places cannot be told apart.",
                repair="Count in integers or float32, and round the finished table.",
            )  # fmt: skip
