"""Parameters in plain lists and dicts, which torch does not register."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

_REGISTERED = frozenset({"_parameters", "_buffers", "_modules"})
WHY = (
    "it is in a plain list or dict, so parameters() does not give it and no optimizer moves it. "
    "Use nn.ModuleList, nn.ModuleDict or nn.ParameterList, or freeze it if that is meant"
)


def hidden(module: nn.Module) -> list[str]:
    """Names of trainable parameters that no ``parameters()`` gives, as ``hidden.0.weight``."""
    known = {id(each) for each in module.parameters()}
    names: dict[int, str] = {}
    for path, owner in module.named_modules():
        for attribute, value in vars(owner).items():
            if attribute in _REGISTERED or not isinstance(value, (list, tuple, Mapping)):
                continue
            prefix = f"{path}.{attribute}" if path else attribute
            for name, parameter in _inside(prefix, value):
                if parameter.requires_grad and id(parameter) not in known:
                    names.setdefault(id(parameter), name)
    return list(names.values())


def _inside(prefix: str, value: Any) -> Iterator[tuple[str, nn.Parameter]]:
    try:
        items = [*value.items()] if isinstance(value, Mapping) else [*enumerate(value)]
    except Exception:  # noqa: BLE001 -- a container of the user may do anything
        return
    for key, each in items:
        if isinstance(each, nn.Module):
            yield from each.named_parameters(f"{prefix}.{key}")
        elif isinstance(each, nn.Parameter):
            yield f"{prefix}.{key}", each
