"""Tells a gradient from one that is rounding alone, as before a normalization that cancels it."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from initcheck.inspection.compared import Compared, of_second_seed
from initcheck.inspection.findings import Finding
from initcheck.inspection.start import Start
from initcheck.inspection.subject import Subject
from initcheck.inspection.tensors import Named, named_tensors

#: In float64, rounding is smaller by 2^-29. A gradient that keeps less than this was rounding.
SHARE = 1e-3


def rounded_alone(
    subject: Subject, module: nn.Module, batch: Any, gradients: dict[str, Tensor]
) -> Collection[str]:
    """Names of those gradients that nearly vanish if the same step is computed in float64.

    Nothing is called rounding if the module cannot be copied, or cannot compute in float64.

    Args:
        subject: computes the loss.
        module: with the values at which the gradients were computed.
        batch: the same.
        gradients: in float32, by parameter.
    """
    single = {name: each for name, each in gradients.items() if each.dtype == torch.float32}
    if not single:
        return ()
    try:
        module = copy.deepcopy(module).double()
        wide = torch.utils._pytree.tree_map(_widened, batch)  # noqa: SLF001 -- no public name
        subject.first_loss(module, wide).backward()  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 -- many modules compute in one precision only
        return ()
    exact = {each.name: each.tensor.grad for each in named_tensors(module)}
    return [
        name for name, each in single.items()
        if (grad := exact.get(name)) is None or grad.norm() < SHARE * each.norm().double()
    ]  # fmt: skip


def _widened(leaf: Any) -> Any:
    return leaf.double() if isinstance(leaf, Tensor) and leaf.is_floating_point() else leaf


def rounding_alone(start: Start, compared: list[Compared]) -> Iterator[Finding]:
    """Parameters whose gradient is rounding alone: a warning if they are all of a layer."""
    alone = {each.name: each for each in compared if each.rounding_alone}
    named = [start.tensors[name] for name in alone if name in start.tensors]
    start.rounded |= {each.name for each in named}
    whole = _whole_layers(start, named)
    if whole:
        again = {each.name for each in of_second_seed(start, moved=True) if each.rounding_alone}
        whole = _whole_layers(start, [each for each in whole if each.name in again])
    for owner in dict.fromkeys(type(each.owner) for each in whole):
        layer = [each for each in whole if type(each.owner) is owner]
        yield start.finding(
            "asleep", "warn", layer, value=max(alone[each.name].length for each in layer),
            message=f"{_shown(alone, layer)} The loss does not depend on these whole layers, with "
            "other values too, as on a router of one expert whose weight is divided by itself.",
            repair="Let their outputs reach the loss: do not normalize the weight of one expert.",
        )  # fmt: skip
    known = {each.name for each in whole}
    rest = [each for each in named if each.name not in known]
    if rest:
        yield start.finding(
            "asleep", "note", rest, value=max(alone[each.name].length for each in rest),
            message=f"{_shown(alone, rest)} The loss does not depend on them, as on a bias before "
            "batch normalization or on the bias of a key.",
            repair="Leave them out, or freeze them: Adam moves them at random.",
        )  # fmt: skip


def _shown(alone: dict[str, Compared], named: list[Named]) -> str:
    largest = max((alone[each.name] for each in named), key=lambda each: each.length)
    return (
        f"Their gradient is rounding alone: of {largest.name} it is {largest.length:.1e} long, and "
        f"{largest.exact:.1e} in float64."
    )


def _whole_layers(start: Start, alone: list[Named]) -> list[Named]:
    """Of these, the parameters of layers that have a matrix and no other trainable parameter."""
    found = []
    for path in dict.fromkeys(each.path for each in alone):
        layer = [each for each in start.tensors.values() if each.trainable and each.path == path]
        matrix = any(min(len(each.tensor), each.tensor[0].numel()) > 1
                     for each in layer if each.tensor.dim() > 1)  # fmt: skip
        if matrix and {each.name for each in layer} <= {each.name for each in alone}:
            found += layer
    return found
