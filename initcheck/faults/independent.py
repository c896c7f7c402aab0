"""Faults of independent draws: standard deviations, bounds, fans, generators and constants."""

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
    noise,
    replaced,
    results_changed,
    wrapped_in,
)

NORMAL = "normal_ kaiming_normal_ xavier_normal_"
UNIFORM = "uniform_ kaiming_uniform_ xavier_uniform_"
RANDOM = f"{NORMAL} {UNIFORM} trunc_normal_ orthogonal_"
GLOROT = "xavier_uniform_ xavier_normal_"
LECUN_AND_HE = "kaiming_normal_ kaiming_uniform_"

ZERO, HE = "all_zero_network_stays_symmetric", "he_beats_randn"


def _scaled(names: str, factor: float) -> Context:
    return results_changed(init, names, lambda w: w.mul_(factor))


# --- gains and fans -------------------------------------------------------------------------------


def _gain(value: float, *nonlinearities: str) -> Context:
    """``calculate_gain`` returns ``value`` for these, or for all where none is named."""

    def around(function: Function) -> Function:
        def gain(nonlinearity: str, param: Any = None) -> Any:
            if not nonlinearities or nonlinearity in nonlinearities:
                return value
            return function(nonlinearity, param)

        return gain

    return wrapped_in(init, "calculate_gain", around)


def _other_fan() -> Context:
    other = {"fan_in": "fan_out", "fan_out": "fan_in"}
    return wrapped_in(
        init, "_calculate_correct_fan", lambda fan: lambda tensor, mode: fan(tensor, other[mode])
    )


# --- normal laws ----------------------------------------------------------------------------------


def _variance_as_std() -> Context:
    """A normal law's standard deviation is squared before use: 1 stays, smaller ones shrink."""

    def around(function: Function) -> Function:
        def draw(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
            result = function(tensor, *args, **kwargs)
            with torch.no_grad():
                return result.mul_(_std(function, tensor, *args, **kwargs))

        return draw

    return wrapped_in(init, NORMAL, around)


def _std(function: Function, tensor: Tensor, *args: Any, **kwargs: Any) -> float:
    """The standard deviation that one of torch's normal initializers uses for these arguments."""
    name = function.__name__
    if name == "normal_":
        return float(kwargs.get("std", args[1] if len(args) > 1 else 1.0))
    rows, columns = tensor.flatten(1).shape
    if name == "xavier_normal_":
        receptive = columns // tensor.shape[1]
        return math.sqrt(2 / (columns + rows * receptive)) * float(kwargs.get("gain", 1.0))
    gain = init.calculate_gain(kwargs.get("nonlinearity", "leaky_relu"), kwargs.get("a", 0))
    return gain / math.sqrt(init._calculate_correct_fan(tensor, kwargs.get("mode", "fan_in")))  # noqa: SLF001 -- torch has no public function for the fan


def _clamped(_function: Function) -> Function:
    """Values beyond a bound are set to the bound, where they should be drawn again."""

    def draw(  # noqa: PLR0917 -- torch's signature
        tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:  # fmt: skip
        with torch.no_grad():
            return init.normal_(tensor, mean, std, generator=generator).clamp_(a, b)

    return draw


def _default_bounds(function: Function) -> Function:
    """The requested bounds are ignored: torch's defaults, -2 and 2, apply."""

    def draw(tensor: Tensor, mean: float = 0.0, std: float = 1.0, *_: Any, **more: Any) -> Any:
        return function(tensor, mean, std, generator=more.get("generator"))

    return draw


# --- uniform laws, generators, constants ----------------------------------------------------------


def _centred(function: Function) -> Function:
    def uniform(tensor: Tensor, a: float = 0.0, b: float = 1.0, **more: Any) -> Any:
        shift = 0.5 if a == 0 else 0.0
        return function(tensor, a - shift, b - shift, **more)

    return uniform


def _shared_generator(function: Function) -> Function:
    return lambda tensor, *args, **kwargs: function(tensor, *args, **kwargs | {"generator": None})


def _biases_kept(function: Function) -> Function:
    return lambda tensor: tensor if tensor.dim() == 1 else function(tensor)


FAULTS = (
    # gains and fans
    Fault(
        "he_gain_one", "He's gain for ReLU is 1 instead of the square root of 2.",
        "torch", (HE,), lambda: _gain(1.0, "relu"),
    ),
    Fault(
        "he_gain_everywhere", "Every activation gets ReLU's gain, as in notebook 003's heuristic.",
        "torch", ("normal_law_has_its_variance",), lambda: _gain(math.sqrt(2.0)),
    ),
    Fault(
        "fan_out_for_fan_in",
        "He's initializers divide by the number of outputs instead of inputs.",
        "torch", (HE,), _other_fan,
    ),
    # scales
    Fault(
        "variance_as_std", "A normal law uses its variance as its standard deviation.",
        "torch", (HE,), _variance_as_std,
    ),
    Fault(
        "weights_scaled_up", "Every random initializer returns weights 1.1 times too large.",
        "torch", (HE,), lambda: _scaled(RANDOM, 1.1),
    ),
    Fault(
        "weights_scaled_slightly",
        "Every random initializer returns weights 1.001 times too large.",
        "torch", (HE,), lambda: _scaled(RANDOM, 1.001),
    ),
    Fault(
        "randn_scaled_down", "torch's normal_ returns values 100 times too small.",
        "torch", (HE,), lambda: _scaled("normal_", 0.01),
    ),
    Fault(
        "glorot_uniform_times_10", "Glorot's weights are 10 times too large.",
        "torch", ("deep_network_lowers_loss_sooner",), lambda: _scaled(GLOROT, 10.0),
    ),
    Fault(
        "glorot_uniform_times_0.1", "Glorot's weights are 10 times too small.",
        "torch", (), lambda: _scaled(GLOROT, 0.1),
    ),
    Fault(
        "glorot_zeroed", "Glorot's weights are zero.",
        "torch", (), lambda: _scaled(GLOROT, 0.0),
    ),
    Fault(
        "he_zeroed", "LeCun's and He's weights are zero.",
        "torch", (), lambda: _scaled(LECUN_AND_HE, 0.0),
    ),
    Fault(
        "lecun_times_10", "LeCun's and He's weights are 10 times too large.",
        "torch", (), lambda: _scaled(LECUN_AND_HE, 10.0),
    ),
    # bounds
    Fault(
        "uniform_without_negative_half", "Uniform laws return absolute values.",
        "torch", ("zeroed_hidden_layer_still_learns",),
        lambda: results_changed(init, UNIFORM, lambda w: w.abs_()),
    ),
    Fault(
        "uniform_bound_is_std",
        "The bound of a uniform law is its standard deviation instead of sqrt(3) times that.",
        "torch", ("uniform_law_has_its_variance_and_bound",),
        lambda: results_changed(init, UNIFORM, lambda w: w.div_(math.sqrt(3))),
    ),
    Fault(
        "uniform_bound_times_1.1", "The bounds of uniform laws are 1.1 times too large.",
        "torch", (), lambda: _scaled(UNIFORM, 1.1),
    ),
    Fault(
        "positive_uniform_centred", "U(0, 1) returns values of U(-1/2, 1/2).",
        "torch", (), lambda: wrapped_in(init, "uniform_", _centred),
    ),
    Fault(
        "clamp_for_truncation",
        "A truncated normal law sets values beyond a bound to the bound, instead of drawing again.",
        "torch", (), lambda: wrapped_in(init, "trunc_normal_", _clamped),
    ),
    Fault(
        "truncation_forgotten",
        "A truncated normal law is cut at -2 and 2, whatever bounds were requested.",
        "torch", ("truncated_normal_law_has_its_variance",),
        lambda: wrapped_in(init, "trunc_normal_", _default_bounds),
    ),
    # generators
    Fault(
        "generator_ignored",
        "Initializers draw from torch's global generator instead of the one they are given.",
        "torch", (), lambda: wrapped_in(init, RANDOM, _shared_generator),
    ),
    # constants
    Fault(
        "zeros_with_noise", "zeros_ returns N(0, 0.001^2).",
        "torch", (ZERO,), lambda: results_changed(init, "zeros_", lambda w: w.add_(noise(w, 1e-3))),
    ),
    Fault(
        "biases_not_zeroed", "zeros_ leaves a bias as the constructor made it.",
        "torch", (ZERO,), lambda: wrapped_in(init, "zeros_", _biases_kept),
    ),
    Fault(
        "ones_drawn", "ones_ returns N(0, 2 / n), with n the number of entries in a row.",
        "torch", (),
        lambda: results_changed(
            init, "ones_", lambda w: w.mul_(noise(w, (2 / w.shape[-1]) ** 0.5))
        ),
    ),
    Fault(
        "constant_is_zero", "constant_ writes zeros, whatever the constant.",
        "torch", ("equal_biases_add_at_most_one_dimension",),
        lambda: replaced(init, "constant_", lambda tensor, val: init.zeros_(tensor)),
    ),
    Fault(
        "biases_with_noise", "constant_ adds noise of N(0, 0.001^2).",
        "torch", (),
        lambda: results_changed(init, "constant_", lambda w: w.add_(noise(w, 1e-3))),
    ),
)  # fmt: skip
