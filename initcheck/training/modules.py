"""Whether a module computes anything that its class and its state do not determine.

An engine that shares one module between replicas must know this: hooks, a replaced ``forward``, and
tensors in plain attributes are in no dictionary of parameters and buffers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import BuiltinFunctionType, FunctionType, NoneType

import torch
from torch import Tensor, nn

IN_STATE = ("_parameters", "_buffers", "_modules")  # where a module holds them
COMPARABLE = (
    bool, int, float, complex, str, bytes, type, NoneType, FunctionType, BuiltinFunctionType,
    torch.dtype, torch.device, torch.Size,
)  # fmt: skip

# --- whole networks -------------------------------------------------------------------------------


def is_its_state(network: nn.Module) -> bool:
    """Whether another seed's module with this one's state is certain to compute the same.

    Only for torch's own layers: a custom module may hold a gain, an array or a function.
    """
    return all(map(of_torch, network.modules())) and not holds_more(network)


def alike(networks: Sequence[nn.Module]) -> bool:
    """Whether the networks are certain to differ in their parameters and buffers only.

    Their modules must be of the same classes in the same places, and each plain attribute must be
    equal: a number, a text, the same function, or a container of such.
    """
    values = (v for network in networks for m in network.modules() for v in _plain(m).values())
    if not all(map(_comparable, values)):
        return False
    first, *others = map(_described, networks)
    return all(other == first for other in others)


def _described(network: nn.Module) -> list[tuple[object, ...]]:
    """Its modules with their plain attributes, and the names and kinds of its parameters."""
    parts = [(name, type(m), _plain(m)) for name, m in network.named_modules()]
    return [*parts, *((name, type(p), p.shape) for name, p in network.named_parameters())]


def _plain(module: nn.Module) -> dict[str, object]:
    """The attributes of a module that are not in its state."""
    return {name: value for name, value in vars(module).items() if name not in IN_STATE}


def _comparable(value: object) -> bool:
    """Whether ``==`` tells that two such values are the same in every use."""
    if isinstance(value, dict):
        return all(map(_comparable, (*value, *value.values())))
    if isinstance(value, list | tuple | set | frozenset):
        return all(map(_comparable, value))
    return type(value) in COMPARABLE


def holds_more(network: nn.Module) -> bool:
    """Whether any plain attribute holds a tensor or a module, which the state leaves out."""
    attributes = [value for m in network.modules() for value in _plain(m).values()]
    return any(
        isinstance(value, Tensor | nn.Module)
        for attribute in attributes
        for value in _elements(attribute)
    )


def _elements(attribute: object) -> Iterable[object]:
    """The values of a dictionary, list or tuple; anything else as the only element."""
    if isinstance(attribute, dict):
        return attribute.values()
    return attribute if isinstance(attribute, list | tuple) else (attribute,)


def leaves_inputs(network: nn.Module) -> bool:
    """Whether the network is certain not to change its inputs in place: only layers of torch."""
    layers = list(network.modules())
    return all(map(of_torch, layers)) and not any(getattr(m, "inplace", False) for m in layers)


# --- single modules -------------------------------------------------------------------------------


def of_torch(module: nn.Module) -> bool:
    """Whether calling the module runs the forward pass of one of torch's classes and no more."""
    return type(module).__module__.startswith("torch.nn.modules.") and not hooked(module)


def pads(module: nn.Module) -> bool:
    """Whether the module is an embedding whose padding row must not get a gradient."""
    embedding = isinstance(module, nn.Embedding | nn.EmbeddingBag)
    return embedding and module.padding_idx is not None


def hooked(module: nn.Module) -> bool:
    """Whether calling the module itself does more than its class's forward pass."""
    kinds = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    return replaced(module) or any(getattr(module, kind) for kind in kinds)


def replaced(module: nn.Module) -> bool:
    """Whether the instance has a ``forward`` in place of its class's."""
    return "forward" in vars(module)
