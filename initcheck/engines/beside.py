"""What a module is beside its state: what no dictionary of parameters and buffers tells of it."""

from __future__ import annotations

from torch import nn


def leaves_inputs(network: nn.Module) -> bool:
    """Whether it is known not to change its inputs in place: torch's own layers, called as such."""
    layers = list(network.modules())
    return all(map(of_torch, layers)) and not any(getattr(m, "inplace", False) for m in layers)


def of_torch(module: nn.Module) -> bool:
    """Whether torch's own class is all there is to calling it: no hook, no forward of its own."""
    return type(module).__module__.startswith("torch.nn.modules.") and not hooked(module)


def hooked(module: nn.Module) -> bool:
    """Whether calling the module, not those in it, does more than its class's forward pass."""
    kinds = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
    return any(getattr(module, kind) for kind in kinds)
