"""Faults of learning rates by parameter, of Adam's eps, of norms, and of the dtype of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from initcheck import arms
from initcheck.faults.fault import Context, Fault, Function, wrapped, wrapped_in
from initcheck.faults.optimizers import option

USUAL_EPS = 2**-26  # Adam's is 1e-8, which is no power of two


# --- learning rates by parameter ------------------------------------------------------------------


def _other_rule(function: Function) -> Function:
    """SGD's factor is the square of Adam's, so each gets the other's."""

    def factor(self: arms.Recipe, name: str) -> float:
        power = 2.0 if self.optimizer.name.startswith("Adam") else 0.5
        return float(function(self, name) ** power)

    return factor


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
)  # fmt: skip
