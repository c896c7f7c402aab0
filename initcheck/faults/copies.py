"""Faults of adapters, copies and deferred starts: known bugs of public code, and broken copies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it
from torch.nn import init
from torch.nn.modules import transformer

from initcheck.faults.fault import Fault, Function, wrapped, wrapped_in
from initcheck.initializers import Initializer, copied, data_dependent, signs, zeros_
from initcheck.networks import adapters, experts, ranks, widened


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


def _redrawn(function: Function) -> Function:
    """A function that clones a layer and then lets every clone draw its weights again."""

    def clones(module: nn.Module, count: int) -> nn.ModuleList:
        made: nn.ModuleList = function(module, count)
        for part in made.modules():
            for name in ("reset_parameters", "_reset_parameters"):
                if hasattr(part, name):
                    getattr(part, name)()
        return made

    return clones


def _separately(function: Function) -> Function:
    """An attention layer's reset that draws each of three packed projections alone."""

    def reset(self: nn.MultiheadAttention) -> None:
        function(self)
        if self.in_proj_weight is not None:
            for weight in self.in_proj_weight.chunk(3):
                init.xavier_uniform_(weight)

    return reset


def _first_layer_only(function: Function) -> Function:
    def rule_for(self: Initializer, module: nn.Module, name: str) -> Any:
        later = ".bias_ih_l" in name and ".bias_ih_l0" not in name
        return zeros_ if later else function(self, module, name)

    return rule_for


def _once(function: Function) -> Function:
    """A reset that does nothing when it is called again."""

    def reset(self: Any) -> None:
        if not getattr(self, "was_reset", False):
            self.was_reset = True
            function(self)

    return reset


@contextmanager
def _attention_resets() -> Iterator[None]:
    """``nn.MultiheadAttention`` has a public reset that sets all its parameters."""

    def reset(self: nn.MultiheadAttention) -> None:
        self._reset_parameters()

    setattr(nn.MultiheadAttention, "reset_parameters", reset)  # noqa: B010 -- a new attribute
    try:
        yield
    finally:
        delattr(nn.MultiheadAttention, "reset_parameters")


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
    Fault(
        "principal_part_kept", "A principal adapter's frozen weight keeps what the adapter holds.",
        "initcheck", (),
        lambda: wrapped(
            adapters.product, lambda _: lambda adapter: torch.zeros_like(adapter.base.weight)
        ),
    ),
    Fault(
        "magnitudes_are_one", "The magnitudes of a decomposed adapter start at one.",
        "initcheck", (),
        lambda: wrapped(adapters.row_lengths, lambda _: lambda weight: torch.ones(len(weight), 1)),
    ),
    Fault(
        "rank_scales_swapped",
        "Adapters to be scaled by their rank are scaled by its root, and the reverse.",
        "initcheck", (),
        lambda: wrapped(ranks.scale, lambda old: lambda rank, *, root: old(rank, root=not root)),
    ),
    # starts that look at images
    Fault(
        "divided_by_variance", "A start divides a layer by the variance of its outputs.",
        "initcheck", (),
        lambda: wrapped(
            data_dependent.spread, lambda old: lambda out, *, by_unit: old(out, by_unit=by_unit)**2
        ),
    ),
    Fault(
        "mean_not_subtracted", "A start leaves each unit the mean of its outputs.",
        "initcheck", (),
        lambda: wrapped(data_dependent.shift, lambda _: lambda out: torch.zeros(out.shape[1])),
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
    # starts of torch's layers
    Fault(
        "encoder_layers_redrawn",
        "nn.TransformerEncoder draws the weights of each layer that it copies again.",
        "torch", (), lambda: wrapped_in(transformer, "_get_clones", _redrawn),
    ),
    Fault(
        "projections_drawn_separately",
        "nn.MultiheadAttention draws each packed projection as a layer for itself.",
        "torch", (), lambda: wrapped_in(nn.MultiheadAttention, "_reset_parameters", _separately),
    ),
    Fault(
        "forget_bias_in_first_layer",
        "Only the first layer of an LSTM gets its forget bias, as in flood-forecasting.",
        "initcheck", (), lambda: wrapped(Initializer.rule_for, _first_layer_only),
    ),
    # deferred and overwritten starts
    Fault(
        "norm_resets_once", "The reset of a group norm does nothing when it is called again.",
        "torch", (), lambda: wrapped_in(nn.GroupNorm, "reset_parameters", _once),
    ),
    Fault(
        "attention_resets", "nn.MultiheadAttention has a reset_parameters that sets all it holds.",
        "torch", (), _attention_resets,
    ),
    Fault(
        "padding_gets_gradient", "The padding row of an embedding gets a gradient.",
        "torch", (),
        lambda: wrapped_in(
            F, "embedding", lambda function: lambda given, weight, *_: function(given, weight)
        ),
    ),
    Fault(
        "zeros_overwritten", "A pass that should spare rows of zeros fills them too.",
        "initcheck", (),
        lambda: wrapped(
            copied.rows_of_zeros, lambda _: lambda tensor: torch.zeros(len(tensor)).bool()
        ),
    ),
    # parts of a draw
    Fault(
        "signs_lost", "A start that keeps the signs of a draw makes all of them positive.",
        "initcheck", (),
        lambda: wrapped(signs.signs, lambda _: lambda drawn: torch.full_like(drawn, 1.0)),
    ),
    Fault(
        "noise_lost", "A start that adds noise to a constant adds none.",
        "initcheck", (),
        lambda: wrapped(signs.noise_like, lambda old: lambda like, _, draw: old(like, 0.0, draw)),
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
