"""What a module is beside its state: what no dictionary of parameters and buffers tells of it."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn


def leaves_inputs(network: nn.Module) -> bool:
    """Whether it is known not to change its inputs in place: torch's own layers, called as such."""
    layers = list(network.modules())
    return all(map(of_torch, layers)) and not any(getattr(m, "inplace", False) for m in layers)


def is_its_state(network: nn.Module) -> bool:
    """Whether another seed's module, given this one's state, is known to compute the same.

    A module of one's own may hold anything: an order of its inputs, an array, a gain, a function.
    """
    return all(map(of_torch, network.modules())) and not holds_more(network)


def of_torch(module: nn.Module) -> bool:
    """Whether torch's own class is all there is to calling it: no hook, no forward of its own."""
    return type(module).__module__.startswith("torch.nn.modules.") and not hooked(module)


def hooked(module: nn.Module) -> bool:
    """Whether calling the module, not those in it, does more than its class's forward pass."""
    kinds = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    return replaced(module) or any(getattr(module, kind) for kind in kinds)


def replaced(module: nn.Module) -> bool:
    """Whether it has a forward pass of its own in place of its class's."""
    return "forward" in vars(module)


def holds_more(network: nn.Module) -> bool:
    """Whether it has tensors, or modules, that are in plain attributes: no state carries them."""
    known = ("_parameters", "_buffers", "_modules")
    held = [vars(m)[name] for m in network.modules() for name in vars(m) if name not in known]
    return any(isinstance(value, Tensor | nn.Module) for one in held for value in _inside(one))


def _inside(value: object) -> Iterable[object]:
    """The values of a dictionary, list or tuple; of anything else itself."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else (value,)
