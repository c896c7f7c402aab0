"""Faults in the starts of transformers, most of them bugs that were published and trained with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from initcheck.faults.fault import Fault, Function, wrapped
from initcheck.initializers import Initializer

PROJECTIONS = "project.weight"  # how rules for the last layers of branches end


def _projections_unscaled(function: Function) -> Function:
    """Rules for residual projections match no parameter, so these start as all other weights."""

    def rule_for(self: Initializer, module: nn.Module, name: str) -> Any:
        kept = tuple(rule for rule in self.named if not rule[0].endswith(PROJECTIONS))
        return function(replace(self, named=kept), module, name)

    return rule_for


FAULTS = (
    Fault(
        "residual_projections_not_scaled",
        "The last layers of branches start as all other weights, as transformers had it for GPT-2 "
        "until 2026.",
        "initcheck", (), lambda: wrapped(Initializer.rule_for, _projections_unscaled),
    ),
)  # fmt: skip
