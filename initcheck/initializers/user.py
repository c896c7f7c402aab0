"""A researcher's own function, called so that what an initializer must not do is noticed."""

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from initcheck.initializers.factory import (
    InitializerError,
    TensorInitializer,
    signature_of,
)
from initcheck.initializers.rules import Initializer

ModuleFunction = Callable[[nn.Module, torch.Generator], None]

WORDS_FOR_A_MODULE = frozenset({"module", "model", "network"})
VARIADIC = frozenset({inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD})


def tensor_function(function: Callable[..., Any], name: str) -> TensorInitializer:
    """`function` as an initializer of one tensor, which raises where the function misbehaves."""
    call = with_generator(function, name)

    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        built = form(tensor)
        result = call(tensor, generator)
        if form(tensor) != built:
            raise InitializerError(
                f'The initializer "{name}" turned a tensor {built} into one {form(tensor)}.'
            )
        if result is None or result is tensor:
            return tensor
        if not isinstance(result, Tensor) or form(result) != built:
            what = f"a tensor {form(result)}" if isinstance(result, Tensor) else repr(type(result))
            raise InitializerError(
                f'The initializer "{name}" was given a tensor {built} and returned {what}.'
            )
        return tensor.copy_(result)

    fill.__name__ = name
    return fill


def module_function(function: Callable[..., Any], name: str) -> ModuleFunction:
    """`function` as an initializer of a network, which raises where the function misbehaves."""
    call = with_generator(function, name)

    def fill(module: nn.Module, generator: torch.Generator) -> None:
        built = forms(module)
        result = call(module, generator)
        if isinstance(result, nn.Module) and result is not module:
            raise InitializerError(
                f'The initializer "{name}" returned another module; it has to work in place.'
            )
        changed = sorted(key for key, _ in built.items() ^ forms(module).items())
        if changed:
            raise InitializerError(
                f'The initializer "{name}" changed which parameters there are, or their shape or '
                f"dtype: {', '.join(dict.fromkeys(changed))}."
            )

    return fill


def form(tensor: Tensor) -> str:
    """What an initializer must leave alone: the shape and the dtype, in words."""
    return f"{tuple(tensor.shape)} of {tensor.dtype}"


def forms(module: nn.Module) -> dict[str, str]:
    """The form of each parameter, by name."""
    return {name: form(parameter) for name, parameter in module.named_parameters()}


def with_generator(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`function` in the form `(target, generator)`, under a global generator that is put back."""
    _, *others = parameters_of(function, name)
    by_keyword = any(takes_a_generator_by_keyword(one) for one in others)
    required = [
        one
        for one in others
        if one.default is inspect.Parameter.empty and not takes_a_generator_by_keyword(one)
    ]
    if len(required) + by_keyword > 1 and required:
        raise InitializerError(
            f'The initializer "{name}" cannot be called: besides a tensor or a module and a '
            f"generator it requires {', '.join(one.name for one in required)}."
        )

    def call(target: Tensor | nn.Module, generator: torch.Generator) -> object:
        with torch.random.fork_rng(devices=[]):
            if by_keyword:
                return function(target, generator=generator)
            if required:
                return function(target, generator)
            # Only the CPU's generator: torch.manual_seed would change those of every GPU as well.
            seed = torch.randint(2**63 - 1, (), generator=generator)
            torch.default_generator.manual_seed(int(seed))
            return function(target)

    return call


def takes_a_generator_by_keyword(parameter: inspect.Parameter) -> bool:
    """Whether `generator=` can be passed for it."""
    positional_only = parameter.kind is inspect.Parameter.POSITIONAL_ONLY
    return parameter.name == "generator" and not positional_only


def takes_a_module(function: Callable[..., Any], name: str) -> bool:
    """Whether the first parameter is a network, by its annotation or else by its name."""
    first = parameters_of(function, name)[0]
    annotation = first.annotation
    if isinstance(annotation, type) and annotation is not inspect.Parameter.empty:
        return issubclass(annotation, nn.Module)
    # Under `from __future__ import annotations` the annotation is text that may not even evaluate,
    # and from Python 3.14 on a reference with that text where it does not.
    text = getattr(annotation, "__forward_arg__", annotation)
    if isinstance(text, str) and text.rpartition(".")[2] in {"Module", "Tensor"}:
        return text.endswith("Module")
    return first.name in WORDS_FOR_A_MODULE


def parameters_of(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    """What can be handed over, at least one; a function that does not tell is taken for `(tensor)`.

    Raises:
        InitializerError: where nothing can be handed over by place.
    """
    try:
        signature = signature_of(function)
    except (ValueError, NameError):
        return [inspect.Parameter("tensor", inspect.Parameter.POSITIONAL_ONLY)]
    parameters = [one for one in signature.parameters.values() if one.kind not in VARIADIC]
    if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise InitializerError(
            f'The initializer "{name}" has the signature {signature}, which takes neither a tensor '
            f"nor a module."
        )
    return parameters


def initializers(names: Sequence[str], start: Path) -> tuple[Initializer, ...]:
    """The named functions as initializers, each called as the user wrote it.

    Args:
        names: ``MODULE:FUNCTION`` each; an ``Initializer`` in place of a function stays as it is.
        start: a folder that modules are also looked for in: the user's own.

    Raises:
        InitializerError: no such module, no such function, or one that cannot be called.
    """
    return tuple(_initializer(name, start) for name in dict.fromkeys(names))


def _initializer(name: str, start: Path) -> Initializer:
    module, _, function = name.partition(":")
    found = getattr(_imported(module, start), function, None)
    if isinstance(found, Initializer):
        return found
    if not callable(found):
        raise InitializerError(
            f"The module {module} has no function {function!r}. Name one that it defines, as "
            "MODULE:FUNCTION."
        )
    return user_initializer(found, function)


def _imported(module: str, start: Path) -> object:
    """The module, looked for in the user's folder too, as ``python -m`` would.

    Raises:
        InitializerError: there is none, or importing it fails.
    """
    sys.path.insert(0, str(start))
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InitializerError(
            f"There is no module {error.name!r} to import {module} from, looking in {start} and "
            "where Python looks. Install it, or run pytest in the folder that holds it."
        ) from None
    except Exception as error:
        raise InitializerError(
            f"The module {module} cannot be imported: {type(error).__name__}: {error}."
        ) from error
    finally:
        sys.path.remove(str(start))


@dataclass(frozen=True)
class ModuleInitializer(Initializer):
    """An initializer that hands the whole network to one function, before its rules apply."""

    whole: ModuleFunction | None = None

    @torch.no_grad()
    def __call__(self, module: nn.Module, generator: torch.Generator) -> None:
        """Fill the parameters in place: first by the function, then by the rules."""
        self._require_matches(module)
        if self.whole is not None:
            self.whole(module, generator)
        super().__call__(module, generator)


def user_initializer(function: Callable[..., object], name: str) -> Initializer:
    """An `Initializer` around a researcher's own function.

    The function may be

    - `(tensor, generator)` or `(tensor)`, for each weight in turn; biases stay as built. It works
      in place, or returns new values of the same shape and dtype, which are copied in;
    - `(module)` or `(module, generator)`, for the whole network: its first parameter is annotated
      as an nn.Module or called module, model or network.

    A generator is handed to a parameter called generator, or else to a second one without a
    default. A function without one draws from torch's global generator, seeded from ours for the
    call; either way the global generator is left as it was. Those of numpy and Python are not
    looked after.

    Raises:
        InitializerError: where the function can be called in none of these ways; and, when it is
            called, where it changes a shape or a dtype, or returns something else.
    """
    if takes_a_module(function, name):
        return ModuleInitializer(name, whole=module_function(function, name))
    return Initializer(name, weights=tensor_function(function, name))
