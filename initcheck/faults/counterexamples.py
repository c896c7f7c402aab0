"""Faults that take away what a theorem assumes: equal biases, independence, smoothness, widths.

They show that an exact limit can fail. ``hypotheses.py`` names the claims that each must refute.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it
from torch.nn import init
from torch.optim import Optimizer as TorchOptimizer

from initcheck import networks
from initcheck.faults.fault import (
    Context,
    Fault,
    Function,
    results_changed,
    wrapped,
    wrapped_in,
)
from initcheck.initializers import Initializer
from initcheck.training import perceptrons

# --- biases ---------------------------------------------------------------------------------------

HIGHEST_BIAS = 0.02  # twice notebook 002's; positive, so that ReLU passes each of them on


@contextmanager
def _random_biases() -> Iterator[None]:
    """Layers without biases get some, and biases that an initializer leaves equal are drawn."""

    def with_bias(function: Function) -> Function:
        signature = inspect.signature(function)

        def construct(*args: Any, **kwargs: Any) -> None:
            bound = signature.bind(*args, **kwargs)
            requested = bound.arguments.get("bias", True)
            bound.arguments["bias"] = True
            function(*bound.args, **bound.kwargs)
            if not requested:
                init.zeros_(bound.args[0].bias)

        return construct

    with ExitStack() as stack:
        for layer in (nn.Linear, nn.modules.conv._ConvNd):  # noqa: SLF001 -- base of all convolutions
            stack.enter_context(wrapped_in(layer, "__init__", with_bias))
        stack.enter_context(wrapped(Initializer.__call__, _equal_biases_drawn))
        yield


def _equal_biases_drawn(function: Function) -> Function:
    @torch.no_grad()
    def fill(self: Initializer, module: nn.Module, generator: torch.Generator) -> None:
        function(self, module, generator)
        drawing = torch.Generator().manual_seed(generator.initial_seed())
        for name, bias in module.named_parameters():
            if name.endswith("bias") and (bias == bias[0]).all():
                bias.copy_(HIGHEST_BIAS * torch.rand(bias.shape, generator=drawing))

    return fill


def _one_value(bias: Tensor) -> None:
    if bias.dim() == 1:
        bias.fill_(bias[0])


# --- activations ----------------------------------------------------------------------------------

STAIRS = 8  # values per unit
ACTIVATIONS: tuple[tuple[type[nn.Module], Any, str], ...] = (
    (nn.ReLU, F, "relu"), (nn.CELU, F, "celu"), (nn.ELU, F, "elu"), (nn.SELU, F, "selu"),
    (nn.SiLU, F, "silu"), (nn.GELU, F, "gelu"), (nn.Tanh, torch, "tanh"),
    (nn.Sigmoid, torch, "sigmoid"),
)  # fmt: skip


@contextmanager
def _staircases() -> Iterator[None]:
    """Values are rounded; gradients are those of the smooth activation, as in quantized training.

    The ensemble computes some derivatives from the activation's value, so it gets the smooth one.
    """

    def around(function: Function) -> Function:
        def rounded(*args: Any, **kwargs: Any) -> Any:
            y = function(*args, **kwargs)
            return y + (y.detach() * STAIRS).round() / STAIRS - y.detach()

        return rounded

    def of_smooth(derivative: Function, smooth: Function) -> Function:
        return lambda m, grad, x, y: derivative(m, grad, x, smooth(x))

    before = dict(perceptrons.DERIVATIVES)
    with ExitStack() as stack:
        for layer, owner, name in ACTIVATIONS:
            derivative = of_smooth(before[layer], vars(owner)[name])
            perceptrons.DERIVATIVES[layer] = derivative
            stack.enter_context(wrapped_in(owner, name, around))
        stack.callback(perceptrons.DERIVATIVES.update, before)
        yield


# --- widths and copies ----------------------------------------------------------------------------


def _wider(function: Function) -> Function:
    """Hidden layers of a chain of linear layers are built again with 1.5 times their units."""

    def fresh(self: networks.Network, seed: int) -> nn.Module:
        module: nn.Module = function(self, seed)
        if not isinstance(module, nn.Sequential):
            return module
        linear = [n for n, layer in module.named_children() if type(layer) is nn.Linear]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            for name in linear:
                setattr(module, name, _rebuilt(module.get_submodule(name), name, linear))
        return module

    return fresh


def _rebuilt(layer: Any, name: str, linear: list[str]) -> nn.Linear:
    more_in, more_out = name != linear[0], name != linear[-1]
    inputs = layer.in_features * 3 // 2 if more_in else layer.in_features
    outputs = layer.out_features * 3 // 2 if more_out else layer.out_features
    return nn.Linear(inputs, outputs, bias=layer.bias is not None)


def _same_module(function: Function) -> Function:
    def fresh(self: networks.Network, seed: int) -> nn.Module:
        nn.Module.__deepcopy__ = lambda module, memo: module  # type: ignore[attr-defined]
        try:
            module: nn.Module = function(self, seed)
        finally:
            del nn.Module.__deepcopy__  # type: ignore[attr-defined]
        return module

    return fresh


# --- draws and optimizers -------------------------------------------------------------------------

LAWS = (
    "normal_ kaiming_normal_ xavier_normal_ uniform_ kaiming_uniform_ xavier_uniform_ trunc_normal_"
)


def _two_draws(weight: Tensor) -> None:
    if weight.dim() > 1:
        first, last = weight.flatten()[0].clone(), weight.flatten()[-1].clone()
        weight.copy_(first)
        weight[len(weight) // 2 :] = last


def _not_orthogonalized(function: Function) -> Function:
    def factor(matrix: Tensor, *args: Any, **kwargs: Any) -> Any:
        factors = function(matrix, *args, **kwargs)
        return type(factors)((matrix / len(matrix) ** 0.5, factors.R))

    return factor


SHORTER = 0.9  # a tenth less for each tensor


def _later_tensors_lag() -> Context:
    def around(function: Function) -> Function:
        def construct(self: Any, params: Any, defaults: dict[str, Any]) -> None:
            groups = [
                {"params": [p], "lr": defaults["lr"] * SHORTER**place}
                for place, p in enumerate(params)
            ]
            function(self, groups, defaults)

        return construct

    return wrapped_in(TorchOptimizer, "__init__", around)


RANKS = ("identity_caps_residual_rank", "equal_biases_add_at_most_one_dimension")

FAULTS = (
    Fault(
        "biases_drawn_at_random",
        "Biases are drawn from U(0, 0.02) where equal ones or none were requested.",
        "torch", RANKS, _random_biases,
    ),
    Fault(
        "biases_drawn_equal", "Every random law gives all biases of a layer the same value.",
        "torch", (), lambda: results_changed(init, "normal_ uniform_", _one_value),
    ),
    Fault(
        "activations_rounded",
        "Every activation is rounded to eighths, and its gradient is that of the smooth one.",
        "torch", (), _staircases,
    ),
    Fault(
        "hidden_layers_widened",
        "Every hidden linear layer has 1.5 times the requested units.",
        "initcheck", (), lambda: wrapped(networks.Network.fresh, _wider),
    ),
    Fault(
        "copies_are_the_module",
        "While a network is built, a deep copy of a module is that module.",
        "torch", (), lambda: wrapped(networks.Network.fresh, _same_module),
    ),
    Fault(
        "two_draws_per_layer",
        "Every random law draws two values and gives each to half of a layer's units.",
        "torch", (), lambda: results_changed(init, LAWS, _two_draws),
    ),
    Fault(
        "not_orthogonalized",
        "Orthogonal matrices are normal draws that QR does not make orthogonal.",
        "torch", (), lambda: wrapped_in(torch.linalg, "qr", _not_orthogonalized),
    ),
    Fault(
        "later_tensors_lag",
        "An optimizer gives each tensor 0.9 times the learning rate of the one before it.",
        "torch", (), _later_tensors_lag,
    ),
)  # fmt: skip
