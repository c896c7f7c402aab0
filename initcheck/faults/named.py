"""Faults that single claims name: each the nearest way in which just that claim would be false."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it
from torch.nn import init

from initcheck import initializers, networks, pretraining, structured
from initcheck.faults.common import Context, Fault, Function, afterwards, noise, wrapped
from initcheck.faults.computing import activation
from initcheck.faults.stepping import option

aten = torch.ops.aten
GLOROT, LECUN = "xavier_uniform_ xavier_normal_", "kaiming_normal_ kaiming_uniform_"


def _scaled(names: str, factor: float) -> Context:
    return afterwards(init, names, lambda w: w.mul_(factor))


def _permuted(weight: Tensor) -> None:
    order = torch.randperm(weight.shape[1], generator=torch.Generator().manual_seed(1))
    weight.copy_(weight[:, order])


def _drawn(function: Function) -> Function:
    """Every matrix differs from the last, as if its noise came from a stream nobody named."""
    calls = count()

    def matrix(order: int) -> Tensor:
        exact: Tensor = function(order)
        generator = torch.Generator().manual_seed(next(calls))
        return exact + 1e-3 * torch.randn(exact.shape, generator=generator)

    return matrix


def _one_in_place_of_spray(function: Function) -> Function:
    """What ``spray_`` is given to turn round, so that OnE comes out of it."""

    def one(tensor: Tensor, generator: torch.Generator) -> Tensor:
        columns = tensor.shape[1]
        return function(tensor, generator).mul_(-(columns - 1)).add_(1)  # type: ignore[no-any-return]

    return one


def _centred(function: Function) -> Function:
    def uniform(tensor: Tensor, a: float = 0.0, b: float = 1.0, **more: Any) -> Any:
        return (
            function(tensor, a - 0.5, b - 0.5, **more) if a == 0 else function(tensor, a, b, **more)
        )

    return uniform


def _rules_ignored(function: Function) -> Function:
    return lambda self, module, name: function(replace(self, named=()), module, name)


@contextmanager
def _uphill() -> Iterator[None]:
    """The two phases of contrastive divergence are taken for each other; no machine is kept."""

    def around(function: Function) -> Function:
        return lambda machine, batch, *, lr, generator: function(
            machine, batch, lr=-lr, generator=generator
        )

    pretraining._stack.cache_clear()  # noqa: SLF001 -- machines trained without the fault
    try:
        with wrapped(pretraining, "cd1", around):
            yield
    finally:
        pretraining._stack.cache_clear()  # noqa: SLF001 -- and those with it


def _unscaled_dropout(function: Function) -> Function:
    def dropout(x: Tensor, p: float = 0.5, training: bool = True, *_: Any) -> Any:  # noqa: FBT002 -- torch's signature
        return function(x, p, training) * (1 - p) if training else x

    return dropout


def _half_of_dropout(function: Function) -> Function:
    """Every layer with a probability ``p``, torch's name for the share dropped, is built with half.

    At the layers and not in ``torch.nn.functional``, so that masks of one's own are halved too.
    """

    def fresh(self: networks.Network, seed: int) -> nn.Module:
        module: nn.Module = function(self, seed)
        for layer in module.modules():
            if isinstance(vars(layer).get("p"), float):
                layer.p = layer.p / 2  # type: ignore[assignment,operator]
        return module

    return fresh


def _elu() -> Context:
    return activation(
        "relu", F.elu, nn.ReLU,
        lambda m, grad, x, y: aten.elu_backward(grad, 1, 1, 1, False, x),
    )  # fmt: skip


def _sigmoid() -> Context:
    return activation(
        "relu", torch.sigmoid, nn.ReLU, lambda m, grad, x, y: aten.sigmoid_backward(grad, y)
    )


FAULTS = (
    Fault("biases_with_noise", "A constant comes out with noise of 0.001.", "torch", (),
          lambda: afterwards(init, "constant_", lambda w: w.add_(noise(w, 1e-3)))),
    Fault("cd_sign", "Contrastive divergence goes uphill.", "initcheck", (),
          _uphill),
    Fault("decay_not_decoupled", "AdamW's decay goes through its moments, as Adam's does.",
          "torch", (), lambda: option("decoupled_weight_decay", lambda _: False)),
    Fault("dropout_rate_halved", "Dropout layers drop half as often as they were asked to.",
          "initcheck", (), lambda: wrapped(networks.Network, "fresh", _half_of_dropout)),
    Fault("dropout_unscaled", "Dropout does not make up for what it drops.", "torch", (),
          lambda: wrapped(F, "dropout", _unscaled_dropout)),
    Fault("elu_for_relu", "ReLU computes ELU.", "torch", (), _elu),
    Fault("sigmoid_for_relu", "ReLU computes the sigmoid.", "torch", (), _sigmoid),
    Fault("glorot_uniform_times_10", "Glorot's weights are 10 times too large.", "torch", (),
          lambda: _scaled(GLOROT, 10.0)),
    Fault("glorot_uniform_times_0.1", "Glorot's weights are 10 times too small.", "torch", (),
          lambda: _scaled(GLOROT, 0.1)),
    Fault("glorot_zeroed", "Glorot's weights are zero.", "torch", (),
          lambda: _scaled(GLOROT, 0.0)),
    Fault("he_zeroed", "LeCun's and He's weights are zero.", "torch", (),
          lambda: _scaled(LECUN, 0.0)),
    Fault("lecun_times_10", "LeCun's and He's weights are 10 times too large.", "torch", (),
          lambda: _scaled(LECUN, 10.0)),
    Fault("uniform_bound_times_1.1", "Uniform laws end 1.1 times too far out.", "torch", (),
          lambda: _scaled("uniform_ kaiming_uniform_ xavier_uniform_", 1.1)),
    Fault("hadamard_with_noise", "The Hadamard transform has noise of 0.001, never the same.",
          "initcheck", (), lambda: wrapped(structured, "hadamard_matrix", _drawn)),
    Fault("identity_permuted", "The ones of an identity stand in other columns.", "torch", (),
          lambda: afterwards(init, "eye_", _permuted)),
    Fault("identity_scaled_by_width", "An identity is multiplied by the root of a tenth of "
          "its inputs.", "torch", (),
          lambda: afterwards(init, "eye_", lambda w: w.mul_(math.sqrt(w.shape[1] / 10)))),
    Fault("identity_zeroed", "An identity is all zeros.", "torch", (),
          lambda: afterwards(init, "eye_", lambda w: w.zero_())),
    Fault("learning_rate_times_100", "Every learning rate is 100 times too large.", "torch", (),
          lambda: option("lr", lambda lr: lr * 100)),
    Fault("named_rules_ignored", "Rules for single parameters are not followed.", "initcheck", (),
          lambda: wrapped(initializers.Initializer, "_rule", _rules_ignored)),
    Fault("positive_uniform_centred", "U(0, 1) comes out as U(-1/2, 1/2).", "torch", (),
          lambda: wrapped(init, "uniform_", _centred)),
    Fault("spray_is_one", "Spray comes out as OnE.", "initcheck", (),
          lambda: wrapped(structured, "one_n_each_", _one_in_place_of_spray)),
    Fault("weight_decay_ignored", "Weight decay is accepted and not used.", "torch", (),
          lambda: option("weight_decay", lambda _: 0.0)),
)  # fmt: skip
