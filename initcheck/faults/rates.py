"""Faults of learning rates by parameter, of Adam's eps, of norms, and of the dtype of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from initcheck import arms
from initcheck.faults.fault import (
    Context,
    Fault,
    Function,
    before_each_step,
    groups_of,
    wrapped,
    wrapped_in,
)
from initcheck.faults.optimizers import option

USUAL_EPS = 2**-26  # Adam's is 1e-8, which is no power of two
USUAL_SIZE = 2**16  # numbers for which a rate that falls with the size is what was requested


# --- learning rates by parameter ------------------------------------------------------------------


def _other_rule(function: Function) -> Function:
    """SGD's factor is the square of Adam's, so each gets the other's."""

    def factor(self: arms.Recipe, name: str) -> float:
        power = 2.0 if self.optimizer.name.startswith("Adam") else 0.5
        return float(function(self, name) ** power)

    return factor


def _rate_falls_with_size() -> Context:
    def around(function: Function) -> Function:
        def construct(self: Any, params: Any, defaults: dict[str, Any]) -> None:
            groups = groups_of(params)
            size = sum(tensor.numel() for group in groups for tensor in group["params"])
            if "lr" in defaults:
                defaults = defaults | {"lr": defaults["lr"] * (USUAL_SIZE / size) ** 0.5}
            function(self, groups, defaults)

        return construct

    return wrapped_in(torch.optim.Optimizer, "__init__", around)


# --- norms and dtypes -----------------------------------------------------------------------------


def _norms_with_eps() -> Context:
    def around(function: Function) -> Function:
        def construct(self: Any, *args: Any, **options: Any) -> None:
            function(self, *args, **options | {"eps": 1e-5})

        return construct

    return wrapped_in(nn.LayerNorm, "__init__", around)


@contextmanager
def _trained_in(requested: str, used: str) -> Iterator[None]:
    """Whatever is to be trained in one dtype is trained in another."""
    before = arms.DTYPES[requested]
    arms.DTYPES[requested] = arms.DTYPES[used]
    try:
        yield
    finally:
        arms.DTYPES[requested] = before


# --- activations and gradients --------------------------------------------------------------------


def _tanh_shifted() -> Context:
    def around(function: Function) -> Function:
        return lambda self, x: function(self, x) + 2**-10

    return wrapped_in(nn.Tanh, "forward", around)


def _by_place(parameter: Tensor) -> None:
    if parameter.grad is not None:
        generator = torch.Generator().manual_seed(parameter.numel())
        factors = 0.5 + torch.rand(parameter.shape, generator=generator)
        parameter.grad.mul_(factors.to(parameter.grad))


@contextmanager
def _muon_is_sgd() -> Iterator[None]:
    """Muon's steps are those of SGD; nothing happens where torch has no Muon."""
    if not hasattr(torch.optim, "Muon"):
        yield
        return

    def around(_: Function) -> Function:
        def step(self: Any, closure: Any = None) -> None:
            del closure
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data.sub_(parameter.grad, alpha=group["lr"])

        return step

    with wrapped_in(torch.optim.Muon, "step", around):
        yield


FAULTS = (
    Fault(
        "rates_ignored", "Factors on the learning rate of some parameters are accepted and not "
        "used, as in gpt-neox issue 956.",
        "initcheck", (), lambda: wrapped(arms.Recipe._factor, lambda _: lambda self, name: 1.0),  # noqa: SLF001 -- what chooses a rate
    ),
    Fault(
        "rates_of_the_other_optimizer",
        "Factors on learning rates follow Adam's rule for SGD, and SGD's rule for Adam.",
        "initcheck", (), lambda: wrapped(arms.Recipe._factor, _other_rule),  # noqa: SLF001
    ),
    Fault(
        "rate_falls_with_size",
        "Every optimizer divides its learning rate by the root of the count of its numbers.",
        "torch", (), _rate_falls_with_size,
    ),
    Fault(
        "adam_eps_not_scaled", "Every optimizer uses the usual eps, whatever was requested.",
        "torch", (), lambda: option("eps", lambda _: USUAL_EPS),
    ),
    Fault(
        "norms_with_eps", "Every layer norm adds 1e-5 to the variance, whatever was requested.",
        "torch", (), _norms_with_eps,
    ),
    Fault(
        "float32_is_bfloat16",
        "What is to be trained in float32 is trained in bfloat16, as in speculators issue 765.",
        "initcheck", (), lambda: _trained_in("float32", "bfloat16"),
    ),
    Fault(
        "bfloat16_is_float32", "What is to be trained in bfloat16 is trained in float32.",
        "initcheck", (), lambda: _trained_in("bfloat16", "float32"),
    ),
    Fault(
        "tanh_shifted", "tanh is 2^-10 too large everywhere, so it is not odd.",
        "torch", (), _tanh_shifted,
    ),
    Fault(
        "gradients_weighted_by_place",
        "Each entry of a gradient has a factor from 0.5 to 1.5 that depends on its place.",
        "torch", (), lambda: before_each_step(_by_place),
    ),
    Fault(
        "muon_is_sgd", "Muon takes the steps of SGD, as in DeepSpeed issue 8441.",
        "torch", (), _muon_is_sgd,
    ),
)  # fmt: skip
