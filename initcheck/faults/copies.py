"""Faults of adapters, copies and deferred starts: known bugs of public code, and broken copies."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import init

from initcheck.faults.fault import Fault, Function, wrapped
from initcheck.initializers import copied
from initcheck.networks import adapters, experts, widened


def _then(change: Function) -> Function:
    """A replacement of a method that calls it, and then ``change`` with its object."""

    def around(function: Function) -> Function:
        def method(self: nn.Module) -> None:
            function(self)
            change(self)

        return method

    return around


def _calling(name: str) -> Function:
    """A new function that calls one of ``copied``, since ``wrapped`` renames what it is given."""
    function = getattr(copied, name)

    def seeds(generator: torch.Generator, parts: int) -> list[int]:
        drawn: list[int] = function(generator, parts)
        return drawn

    return seeds


def _normalized(always: bool) -> Function:
    """A replacement of a mixture's gate that always divides by the sum, or never does."""

    def around(function: Function) -> Function:
        def gate(self: experts.Mixture, probabilities: Tensor) -> Tensor:
            self.normalized = always
            weights: Tensor = function(self, probabilities)
            return weights

        return gate

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
    # parts and copies
    Fault(
        "shards_from_one_seed",
        "All shards of a tensor are drawn from one seed, as in ms-swift before its fix.",
        "initcheck", (),
        lambda: wrapped(copied.different_seeds, lambda _: _calling("equal_seeds")),
    ),
    Fault(
        "copies_drawn_separately", "Parts that should be copies are drawn from different seeds.",
        "initcheck", (),
        lambda: wrapped(copied.equal_seeds, lambda _: _calling("different_seeds")),
    ),
    Fault(
        "outgoing_weights_whole",
        "Both copies of a unit keep its outgoing weights, instead of a share of them.",
        "initcheck", (), lambda: wrapped(widened.shares, lambda _: lambda share: (1.0, 1.0)),
    ),
    Fault(
        "outgoing_shares_unequal", "The copies of a unit get shares of .3 and .7.",
        "initcheck", (), lambda: wrapped(widened.shares, lambda _: lambda share: (0.3, 0.7)),
    ),
    # mixtures of experts
    Fault(
        "gate_normalized",
        "The gate of a mixture divides the weights of its experts by their sum, as in minimind.",
        "initcheck", (), lambda: wrapped(experts.Mixture.gate, _normalized(True)),
    ),
    Fault(
        "gate_not_normalized",
        "The gate of a mixture does not divide the weights of its experts by their sum.",
        "initcheck", (), lambda: wrapped(experts.Mixture.gate, _normalized(False)),
    ),
)  # fmt: skip
