"""Runs a module without leaving a trace in it: its attributes and its buffers are put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from initcheck.inspection.tensors import why_not_judged

_TABLES = ("_parameters", "_buffers", "_modules")


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Put attributes and buffers of a module and of all inside it back at the end.

    Values of parameters are not kept, because that would take as much memory as the module. If a
    forward pass writes them, `Start.put_back` takes them from another build.
    """
    parts = list(module.modules())
    attributes = [_attributes(part) for part in parts]
    buffers = [
        (each, each.detach().clone()) for each in module.buffers() if not why_not_judged(each)
    ]
    try:
        yield
    finally:
        for part, kept in zip(parts, attributes, strict=True):
            _put_back(part, kept)
        with torch.no_grad():
            for tensor, values in buffers:
                if tensor.shape == values.shape and tensor.dtype == values.dtype:
                    tensor.copy_(values)
        for parameter in module.parameters():
            parameter.grad = None


def _attributes(part: nn.Module) -> dict[str, Any]:
    """Attributes with copies of the tables. A scripted module keeps its tables elsewhere."""
    kept = dict(vars(part))
    return kept | {name: dict(kept[name]) for name in _TABLES if isinstance(kept.get(name), dict)}


def _put_back(part: nn.Module, kept: dict[str, Any]) -> None:
    now = vars(part)
    for name in [each for each in now if each not in kept]:
        del now[name]
    for name, value in kept.items():
        if name in _TABLES and isinstance(value, dict):
            now[name].clear()
            now[name].update(value)
        else:
            now[name] = value


def cloned(batch: Any) -> Any:
    """A batch with the same values in other memory, as a forward pass may write to it."""
    return torch.utils._pytree.tree_map(  # noqa: SLF001 -- has no public name yet
        lambda leaf: leaf.detach().clone() if isinstance(leaf, Tensor) else leaf, batch
    )
