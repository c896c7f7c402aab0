"""Initializers of one tensor: their type, their names, and functions that make one."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any, ParamSpec

import torch
from torch import Tensor

# Fills a CPU tensor in place, drawing from the given generator only, and returns that tensor.
TensorInitializer = Callable[[Tensor, torch.Generator], Tensor]

Arguments = ParamSpec("Arguments")


class InitializerError(ValueError):
    """An initializer cannot do what was requested, or did something that it must not do."""


def factory(
    make: Callable[Arguments, TensorInitializer],
) -> Callable[Arguments, TensorInitializer]:
    """Decorate a function that makes an initializer, so that equal arguments give the same object.

    The initializer is named after the call that made it, for example "normal_(0.1)". Arguments that
    equal their defaults are left out of the name.
    """
    signature = signature_of(make)

    @functools.cache
    def cached(*args: Arguments.args, **kwargs: Arguments.kwargs) -> TensorInitializer:
        initializer = make(*args, **kwargs)
        words = [name_of(value) for value in args]
        defaults = {key: parameter.default for key, parameter in signature.parameters.items()}
        words += [f"{key}={name_of(kwargs[key])}" for key in kwargs if kwargs[key] != defaults[key]]
        initializer.__name__ = f"{make.__name__}({', '.join(words)})"
        return initializer

    @functools.wraps(make)
    def normalized(*args: Arguments.args, **kwargs: Arguments.kwargs) -> TensorInitializer:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()  # an omitted argument is the same as its default spelled out
        integers = {key: value for key, value in bound.arguments.items() if type(value) is int}
        bound.arguments.update({key: float(value) for key, value in integers.items()})  # 1 is 1.0
        return cached(*bound.args, **bound.kwargs)

    return normalized


def name_of(value: object) -> str:
    """Return how an argument or an initializer is written in a name.

    The numbers 1 and 1.0 are both written 1; text is put in double quotes.
    """
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(float(value)).removesuffix(".0")
    return str(getattr(value, "__name__", value))


# Python 3.14 evaluates annotations when they are read, and fails on names that only a type checker
# imports. This option leaves such annotations unevaluated.
UNEVALUATED: dict[str, Any] = {}
if sys.version_info >= (3, 14):
    from annotationlib import Format

    UNEVALUATED["annotation_format"] = Format.FORWARDREF


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return the function's signature, with annotations that cannot be evaluated left as they are.

    Raises:
        ValueError, NameError: the function has no readable signature.
    """
    return inspect.signature(function, **UNEVALUATED)
