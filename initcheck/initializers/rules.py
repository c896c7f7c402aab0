"""Initializers of whole networks: which function fills which parameter."""

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
from initcheck.initializers.structured import hadamard_, partial_identity_

# Normalization layers whose gains may have two dimensions, but are not weights.
NORMALIZATIONS = (nn.LayerNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Initializer:
    """Rules that give every parameter of a network its start.

    A weight is a parameter with two or more dimensions, outside normalization layers. A bias is a
    parameter whose name contains "bias", in a layer that has a weight. Every other parameter keeps
    the values that its constructor gave it, as does one whose rule is None, unless a pattern in
    `named` matches it.

    Attributes:
        name: how the initializer is written in reports.
        weights: fills the weights.
        biases: fills the biases.
        named: fnmatch patterns on parameter names, each with the function that fills the matches.
            Later patterns override earlier ones, and all override `weights` and `biases`.
        remembers: whether the process caches an expensive start for the next call with its seed.
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
            InitializerError: a pattern matches no parameter, or a parametrization turns the
                parameters into values that are not finite.
        """
        self._require_matches(module)
        for name, parameter in module.named_parameters():
            initializer = self.rule_for(module, name)
            if initializer is not None:
                initializer(parameter, generator)
        self._require_finite(module)

    def but(self, pattern: str, initializer: TensorInitializer) -> "Initializer":
        """Return a copy with one more rule, for parameters whose name matches the pattern."""
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
                raise InitializerError(
                    f'The initializer "{self.name}" has a rule for "{pattern}", which matches no '
                    f"parameter. The network's parameters are: {', '.join(names) or 'none'}."
                )

    def _require_finite(self, module: nn.Module) -> None:
        for name, part in module.named_modules():
            if not isinstance(part, ParametrizationList):
                continue
            # A copy in eval mode: in training mode, computing a spectral norm changes its state.
            copy = deepcopy(part).eval()
            if not copy().isfinite().all():
                raise InitializerError(
                    f'The initializer "{self.name}" leaves {name.replace("parametrizations.", "")} '
                    "with values that are not finite: the layer's parametrization cannot be "
                    "computed from this start (a norm of zeros divides zero by zero). Start that "
                    "layer from other values, or build it without the parametrization."
                )


def is_weight(owner: nn.Module, parameter: nn.Parameter) -> bool:
    """Return whether `parameter`, a parameter of the layer `owner`, is a weight."""
    return parameter.dim() >= 2 and not isinstance(owner, NORMALIZATIONS)


def has_weight(owner: nn.Module) -> bool:
    """Return whether one of the layer's own parameters is a weight, parametrized or not."""
    parts = [owner]
    if is_parametrized(owner):
        parts += owner.get_submodule("parametrizations").children()
    return any(is_weight(owner, each) for part in parts for each in part.parameters(recurse=False))


def every(
    weights: TensorInitializer, biases: TensorInitializer | None = None, name: str | None = None
) -> Initializer:
    """Return an initializer that fills every weight and every bias with the given functions.

    By default it is named after these functions. With `biases` None, biases stay as built.
    """
    default = name_of(weights) + (f", biases {name_of(biases)}" if biases else "")
    return Initializer(name or default, weights, biases)


torch_default = Initializer("torch_default")
zeros = every(zeros_, zeros_, "zeros")
ones = every(ones_, ones_, "ones")
he = every(he_normal_, zeros_, "he")
lecun = every(lecun_normal_, zeros_, "lecun")
glorot = every(glorot_normal_, zeros_, "glorot")
randn = every(randn_, zeros_, "randn")
identity = every(partial_identity_, zeros_, "identity")
hadamard = every(hadamard_, zeros_, "hadamard")
