"""Faults of independent draws: gains, fans, scales, signs, cuts, and zeros that are none."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import init

from initcheck.faults.fault import (
    Context,
    Fault,
    Function,
    afterwards,
    noise,
    replaced,
    wrapped,
)

NORMAL = "normal_ kaiming_normal_ xavier_normal_"
UNIFORM = "uniform_ kaiming_uniform_ xavier_uniform_"
EVERY = f"{NORMAL} {UNIFORM} trunc_normal_ orthogonal_"


def _gain(value: float, *nonlinearities: str) -> Context:
    """``calculate_gain`` answers ``value`` for these, or for all where none is named."""

    def around(function: Function) -> Function:
        def gain(nonlinearity: str, param: Any = None) -> Any:
            if not nonlinearities or nonlinearity in nonlinearities:
                return value
            return function(nonlinearity, param)

        return gain

    return wrapped(init, "calculate_gain", around)


def _other_fan() -> Context:
    other = {"fan_in": "fan_out", "fan_out": "fan_in"}
    return wrapped(
        init, "_calculate_correct_fan", lambda fan: lambda tensor, mode: fan(tensor, other[mode])
    )


def _variance_as_std() -> Context:
    """A normal law's standard deviation is squared on its way: 1 stays, small ones shrink."""

    def around(function: Function) -> Function:
        def draw(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
            result = function(tensor, *args, **kwargs)
            with torch.no_grad():
                return result.mul_(_std(function, tensor, *args, **kwargs))

        return draw

    return wrapped(init, NORMAL, around)


def _std(function: Function, tensor: Tensor, *args: Any, **kwargs: Any) -> float:
    """The standard deviation that one of torch's normal initializers was asked for."""
    name = function.__name__
    if name == "normal_":
        return float(kwargs.get("std", args[1] if len(args) > 1 else 1.0))
    rows, columns = tensor.flatten(1).shape
    if name == "xavier_normal_":
        receptive = columns // tensor.shape[1]
        return math.sqrt(2 / (columns + rows * receptive)) * float(kwargs.get("gain", 1.0))
    gain = init.calculate_gain(kwargs.get("nonlinearity", "leaky_relu"), kwargs.get("a", 0))
    return gain / math.sqrt(init._calculate_correct_fan(tensor, kwargs.get("mode", "fan_in")))  # noqa: SLF001 -- torch's own word for the fan


def _clamped(_function: Function) -> Function:
    """Values beyond the cut are moved to it, where they should be drawn again."""

    def draw(  # noqa: PLR0917 -- torch's signature
        tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        with torch.no_grad():
            return init.normal_(tensor, mean, std, generator=generator).clamp_(a, b)

    return draw


def _shared_generator(function: Function) -> Function:
    return lambda tensor, *args, **kwargs: function(tensor, *args, **kwargs | {"generator": None})


def _biases_kept(function: Function) -> Function:
    return lambda tensor: tensor if tensor.dim() == 1 else function(tensor)


def _no_truncation(function: Function) -> Function:
    """Bounds are absolute in torch; taken for multiples of std, they cut elsewhere."""

    def draw(tensor: Tensor, mean: float = 0.0, std: float = 1.0, *_: Any, **more: Any) -> Any:
        return function(tensor, mean, std, generator=more.get("generator"))

    return draw


HEADLINE_SCALE = ("he_beats_randn",)


GLOROT, LECUN = "xavier_uniform_ xavier_normal_", "kaiming_normal_ kaiming_uniform_"


def _scaled(names: str, factor: float) -> Context:
    return afterwards(init, names, lambda w: w.mul_(factor))


def _centred(function: Function) -> Function:
    def uniform(tensor: Tensor, a: float = 0.0, b: float = 1.0, **more: Any) -> Any:
        return (
            function(tensor, a - 0.5, b - 0.5, **more) if a == 0 else function(tensor, a, b, **more)
        )

    return uniform


FAULTS = (
    Fault(
        "he_gain_one", "He's gain for ReLU is 1 where it must be the square root of 2.",
        "torch", HEADLINE_SCALE, lambda: _gain(1.0, "relu"),
    ),
    Fault(
        "he_gain_everywhere", "Every activation gets ReLU's gain, as in notebook 003's heuristic.",
        "torch", ("normal_law_has_its_variance",), lambda: _gain(math.sqrt(2.0)),
    ),
    Fault(
        "fan_out_for_fan_in", "He's initializers divide by the number of outputs, not of inputs.",
        "torch", HEADLINE_SCALE, _other_fan,
    ),
    Fault(
        "variance_as_std", "A normal law is given its variance for its standard deviation.",
        "torch", HEADLINE_SCALE, _variance_as_std,
    ),
    Fault(
        "weights_scaled_up", "Every random initializer gives weights 1.1 times too large.",
        "torch", HEADLINE_SCALE, lambda: afterwards(init, EVERY, lambda w: w.mul_(1.1)),
    ),
    Fault(
        "weights_scaled_slightly", "Every random initializer gives weights 1.001 times too large.",
        "torch", HEADLINE_SCALE, lambda: afterwards(init, EVERY, lambda w: w.mul_(1.001)),
    ),
    Fault(
        "randn_scaled_down", "N(0, 1) comes out as N(0, 0.01^2).",
        "torch", HEADLINE_SCALE, lambda: afterwards(init, "normal_", lambda w: w.mul_(0.01)),
    ),
    Fault(
        "uniform_without_negative_half", "A uniform law around zero has lost its negative half.",
        "torch", ("zeroed_hidden_layer_still_learns",),
        lambda: afterwards(init, UNIFORM, lambda w: w.abs_()),
    ),
    Fault(
        "uniform_bound_is_std", "A uniform law ends at its standard deviation, not sqrt(3) of it.",
        "torch", ("uniform_law_has_its_variance_and_bound",),
        lambda: afterwards(init, UNIFORM, lambda w: w.div_(math.sqrt(3))),
    ),
    Fault(
        "clamp_for_truncation", "A truncated normal law piles up at its cuts.",
        "torch", (), lambda: wrapped(init, "trunc_normal_", _clamped),
    ),
    Fault(
        "truncation_forgotten", "A truncated normal law is cut at +-2, whatever was asked for.",
        "torch", ("truncated_normal_law_has_its_variance",),
        lambda: wrapped(init, "trunc_normal_", _no_truncation),
    ),
    Fault(
        "generator_ignored", "Initializers draw from torch's shared generator, not from the given.",
        "torch", (), lambda: wrapped(init, EVERY, _shared_generator),
    ),
    Fault(
        "zeros_with_noise", "Zeros come out as N(0, 0.001^2).",
        "torch", ("all_zero_network_stays_symmetric",),
        lambda: afterwards(init, "zeros_", lambda w: w.add_(noise(w, 1e-3))),
    ),
    Fault(
        "ones_drawn", "Ones come out as N(0, 2 / n) for the n entries of a row.", "torch", (),
        lambda: afterwards(init, "ones_", lambda w: w.mul_(noise(w, (2 / w.shape[-1]) ** 0.5))),
    ),
    Fault(
        "biases_not_zeroed", "Zeroing leaves a bias as the constructor made it.",
        "torch", ("all_zero_network_stays_symmetric",),
        lambda: wrapped(init, "zeros_", _biases_kept),
    ),
    Fault(
        "constant_is_zero", "A constant initializer writes zeros, whatever the constant.",
        "torch", ("equal_biases_add_at_most_one_dimension",),
        lambda: replaced(init, "constant_", lambda tensor, val: init.zeros_(tensor)),
    ),
    Fault("biases_with_noise", "A constant comes out with noise of 0.001.", "torch", (),
          lambda: afterwards(init, "constant_", lambda w: w.add_(noise(w, 1e-3)))),
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
    Fault("positive_uniform_centred", "U(0, 1) comes out as U(-1/2, 1/2).", "torch", (),
          lambda: wrapped(init, "uniform_", _centred)),
)  # fmt: skip
