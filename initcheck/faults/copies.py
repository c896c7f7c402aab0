"""Faults of adapters, copies and deferred starts: known bugs of public code, and broken copies."""

from __future__ import annotations

from torch import nn
from torch.nn import init

from initcheck.faults.fault import Fault, Function, wrapped
from initcheck.networks import adapters


def _then(change: Function) -> Function:
    """A replacement of a method that calls it, and then ``change`` with its object."""

    def around(function: Function) -> Function:
        def method(self: nn.Module) -> None:
            function(self)
            change(self)

        return method

    return around


FAULTS = (
    # adapters
    Fault(
        "adapter_drawn_whole",
        "Both factors of an adapter are drawn, as in FastVideo before its fix.",
        "initcheck", (),
        lambda: wrapped(
            adapters.Adapter.reset_parameters, _then(lambda self: init.xavier_uniform_(self.lora_b))
        ),
    ),
    Fault(
        "adapter_zeroed_whole",
        "Both factors of an adapter are zero, as in litgpt before its fix.",
        "initcheck", (),
        lambda: wrapped(
            adapters.Adapter.reset_parameters, _then(lambda self: init.zeros_(self.lora_a))
        ),
    ),
)  # fmt: skip
