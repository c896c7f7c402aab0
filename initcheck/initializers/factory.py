"""Signatures of functions that others wrote, whatever their annotations name."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, ParamSpec

import torch
from torch import Tensor

AS_IT_STANDS: dict[str, Any] = {}
if sys.version_info >= (3, 14):  # which evaluates annotations when they are asked for
    from annotationlib import Format

    AS_IT_STANDS["annotation_format"] = Format.FORWARDREF


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The signature; an annotation whose names are for type checkers alone is left unevaluated.

    Raises:
        ValueError, NameError: the function does not tell.
    """
    return inspect.signature(function, **AS_IT_STANDS)


TensorInitializer = Callable[[Tensor, torch.Generator], Tensor]


P = ParamSpec("P")


def name_of(value: object) -> str:
    """How a hyperparameter or an initializer is written: 1 and 1.0 alike, text in double quotes."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(float(value)).removesuffix(".0")
    return str(getattr(value, "__name__", value))


def factory(make: Callable[P, TensorInitializer]) -> Callable[P, TensorInitializer]:
    """Make `make` give the same object for the same arguments, named the way it was written."""
    signature = signature_of(make)

    @functools.cache
    def named(*args: P.args, **kwargs: P.kwargs) -> TensorInitializer:
        initializer = make(*args, **kwargs)
        words = [name_of(value) for value in args]
        defaults = {key: parameter.default for key, parameter in signature.parameters.items()}
        words += [f"{key}={name_of(kwargs[key])}" for key in kwargs if kwargs[key] != defaults[key]]
        initializer.__name__ = f"{make.__name__}({', '.join(words)})"
        return initializer

    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> TensorInitializer:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()  # so that an argument left out is the same as one spelled out
        integers = {key: value for key, value in bound.arguments.items() if type(value) is int}
        bound.arguments.update({key: float(value) for key, value in integers.items()})  # 1 is 1.0
        return named(*bound.args, **bound.kwargs)

    return made


class InitializerError(ValueError):
    """An initializer was asked for something that cannot be, or did something it must not do."""
