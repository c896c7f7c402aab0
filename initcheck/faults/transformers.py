"""Faults in the starts of transformers, most of them bugs that were published and trained with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from initcheck.faults.fault import Context, Fault, Function, wrapped
from initcheck.initializers import Initializer
from initcheck.networks import transformers

PROJECTIONS = "project.weight"  # how rules for the last layers of branches end


def _projections_unscaled(function: Function) -> Function:
    """Rules for residual projections match no parameter, so these start as all other weights."""

    def rule_for(self: Initializer, module: nn.Module, name: str) -> Any:
        kept = tuple(rule for rule in self.named if not rule[0].endswith(PROJECTIONS))
        return function(replace(self, named=kept), module, name)

    return rule_for


NORMS = (nn.LayerNorm, nn.RMSNorm, nn.modules.batchnorm._NormBase)  # noqa: SLF001 -- of all kinds


def _gains_drawn(function: Function) -> Function:
    """Gains of norms are weights to a rule that does not look at their layer."""

    def rule_for(self: Initializer, module: nn.Module, name: str) -> Any:
        owner, _, leaf = name.rpartition(".")
        if leaf == "weight" and isinstance(module.get_submodule(owner), NORMS):
            return self.weights
        return function(self, module, name)

    return rule_for


def _embeddings_left(function: Function) -> Function:
    def rule_for(self: Initializer, module: nn.Module, name: str) -> Any:
        embeds = isinstance(module.get_submodule(name.rpartition(".")[0]), nn.Embedding)
        return None if embeds else function(self, module, name)

    return rule_for


def _head_bias_negated(function: Function) -> Function:
    @torch.no_grad()
    def fill(self: Initializer, module: nn.Module, generator: torch.Generator) -> None:
        function(self, module, generator)
        for name, bias in module.named_parameters():
            if name == "head.bias":
                bias.neg_()

    return fill


def _plan(**changed: float) -> Context:
    """Every residual connection is built by a plan with these changes."""

    def around(function: Function) -> Function:
        return lambda self, plan, inner: function(self, replace(plan, **changed), inner)

    return wrapped(transformers.Residual.__init__, around)


@contextmanager
def _no_deepnorm() -> Iterator[None]:
    """Neither alpha, in the sums, nor beta, in the start; without one of them growth is small."""

    def around(function: Function) -> Function:
        return lambda self, module, name: function(replace(self, named=()), module, name)

    with _plan(skip=1.0), wrapped(Initializer.rule_for, around):
        yield


def _no_last_norm(function: Function) -> Function:
    def blocks(plan: transformers.Plan, *, causal: bool) -> nn.Sequential:
        every: nn.Sequential = function(plan, causal=causal)
        return every if plan.after else every[:-1].append(nn.Identity())

    return blocks


FAULTS = (
    Fault(
        "last_norm_missing", "A pre-LN transformer has no norm before its head.",
        "initcheck", (), lambda: wrapped(transformers.blocks, _no_last_norm),
    ),
    Fault(
        "deepnorm_missing", "Streams are not multiplied, and rules for single weights are ignored.",
        "initcheck", (), _no_deepnorm,
    ),
    Fault(
        "branches_not_divided", "Residual connections ignore the factor of their branch.",
        "initcheck", (), lambda: _plan(branch=1.0),
    ),
    Fault(
        "norm_gains_drawn",
        "Gains of norms are drawn as weights are, as in pytorch-pretrained-BERT and "
        "TransformerEngine.",
        "initcheck", (), lambda: wrapped(Initializer.rule_for, _gains_drawn),
    ),
    Fault(
        "embeddings_keep_torchs_start",
        "Embeddings keep torch's N(0, 1) where an initializer should fill them.",
        "initcheck", (), lambda: wrapped(Initializer.rule_for, _embeddings_left),
    ),
    Fault(
        "head_bias_negated", "The biases of a network's head start with the other sign.",
        "initcheck", (), lambda: wrapped(Initializer.__call__, _head_bias_negated),
    ),
    Fault(
        "residual_projections_not_scaled",
        "The last layers of branches start as all other weights, as transformers had it for GPT-2 "
        "until 2026.",
        "initcheck", (), lambda: wrapped(Initializer.rule_for, _projections_unscaled),
    ),
)  # fmt: skip
