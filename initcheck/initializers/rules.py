"""Initializers of whole networks, and under the same roof every initializer of one tensor."""

from copy import deepcopy
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import ClassVar

import torch
from torch import nn
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from initcheck.initializers.factory import InitializerError, TensorInitializer, name_of
from initcheck.initializers.independent import (
    glorot_normal_,
    he_normal_,
    lecun_normal_,
    ones_,
    randn_,
    zeros_,
)
from initcheck.initializers.structured import (
    hadamard_,
    partial_identity_,
)

NORMALIZATIONS = (
    nn.LayerNorm,
    nn.RMSNorm,
)  # their gains may have two dimensions, and are no weights


@dataclass(frozen=True)
class Initializer:
    """What the parameters of a network start from.

    A weight is a parameter with two or more dimensions, outside normalization layers; a bias is a
    parameter called so, in a layer that has a weight. Everything else, and everything whose rule is
    None, stays as its constructor made it, unless a pattern names it.

    Attributes:
        name: how the initializer is written in reports.
        weights: fills the weights.
        biases: fills the biases.
        named: fnmatch patterns on parameter names with what fills them; later ones win over earlier
            ones, and all of them over `weights` and `biases`.
        remembers: whether a process keeps what was dear to work out, for the same seed again.
    """

    remembers: ClassVar[bool] = False

    name: str
    weights: TensorInitializer | None = None
    biases: TensorInitializer | None = None
    named: tuple[tuple[str, TensorInitializer], ...] = ()

    @torch.no_grad()
    def __call__(self, module: nn.Module, generator: torch.Generator) -> None:
        """Fill the parameters in place, in the order of `module.named_parameters()`.

        Raises:
            InitializerError: where a pattern matches no parameter, or a parametrization makes of
                them what is not finite.
        """
        self._require_matches(module)
        for name, parameter in module.named_parameters():
            initializer = self.rule_for(module, name)
            if initializer is not None:
                initializer(parameter, generator)
        self._require_finite(module)

    def but(self, pattern: str, initializer: TensorInitializer) -> "Initializer":
        """A copy with one more rule, for the parameters whose name matches the fnmatch pattern."""
        name = f"{self.name} but {pattern} {name_of(initializer)}"
        return replace(self, name=name, named=(*self.named, (pattern, initializer)))

    def rule_for(self, module: nn.Module, name: str) -> TensorInitializer | None:
        """What fills the parameter of this name, or None if it stays as constructed."""
        for pattern, initializer in reversed(self.named):
            if fnmatchcase(name, pattern):
                return initializer
        path, _, leaf = name.rpartition(".")
        owner = module.get_submodule(path)
        if is_weight(owner, owner.get_parameter(leaf)):
            return self.weights
        return self.biases if "bias" in leaf and has_weight(owner) else None

    def _require_matches(self, module: nn.Module) -> None:
        names = [name for name, _ in module.named_parameters()] if self.named else []
        for pattern, _ in self.named:
            if not any(fnmatchcase(name, pattern) for name in names):
                there = ", ".join(names) or "none at all"
                raise InitializerError(
                    f'The initializer "{self.name}" has a rule for "{pattern}", which matches no '
                    f"parameter; the parameters are: {there}."
                )

    def _require_finite(self, module: nn.Module) -> None:
        for name, part in module.named_modules():
            if not isinstance(part, ParametrizationList):
                continue
            at_rest = deepcopy(part).eval()  # each look at a spectral norm that trains moves it
            if not at_rest().isfinite().all():
                raise InitializerError(
                    f'The initializer "{self.name}" leaves {name.replace("parametrizations.", "")} '
                    "with values that are not finite: its parametrization cannot take this start "
                    "(a norm divides zeros by zero). Start that layer from other values, or build "
                    "it without the parametrization."
                )


def is_weight(owner: nn.Module, parameter: nn.Parameter) -> bool:
    """Whether `parameter`, which belongs to the layer `owner`, is one of its weights."""
    return parameter.dim() >= 2 and not isinstance(owner, NORMALIZATIONS)


def has_weight(owner: nn.Module) -> bool:
    """Whether one of the layer's own parameters is a weight, or was until torch parametrized it."""
    parts = [owner]
    if is_parametrized(owner):
        parts += owner.get_submodule("parametrizations").children()
    return any(is_weight(owner, each) for part in parts for each in part.parameters(recurse=False))


def every(
    weights: TensorInitializer, biases: TensorInitializer | None = None, name: str | None = None
) -> Initializer:
    """`weights` for every weight, `biases` for every bias; the default name tells both."""
    written = name_of(weights) + (f", biases {name_of(biases)}" if biases else "")
    return Initializer(name or written, weights, biases)


torch_default = Initializer("torch_default")
zeros = every(zeros_, zeros_, "zeros")
ones = every(ones_, ones_, "ones")
he = every(he_normal_, zeros_, "he")
lecun = every(lecun_normal_, zeros_, "lecun")
glorot = every(glorot_normal_, zeros_, "glorot")
randn = every(randn_, zeros_, "randn")
identity = every(partial_identity_, zeros_, "identity")
hadamard = every(hadamard_, zeros_, "hadamard")
