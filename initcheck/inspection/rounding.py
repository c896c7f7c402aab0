"""Tells a gradient from one that is rounding alone, as before a normalization that cancels it."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn

from initcheck.inspection.subject import Subject
from initcheck.inspection.tensors import named_tensors

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
