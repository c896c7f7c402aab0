"""Initializers made from a user's own functions, which are checked at every call.

The three ways in are `import_initializers` (by name, for --initcheck-init), `user_initializer` (one
function) and `ModuleInitializer` (one function that fills a whole network).
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from initcheck.initializers.factory import InitializerError, TensorInitializer, signature_of
from initcheck.initializers.rules import Initializer

ModuleFunction = Callable[[nn.Module, torch.Generator], None]

MODULE_PARAMETER_NAMES = frozenset({"module", "model", "network"})
VARIADIC = frozenset({inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD})


# ---- by name -------------------------------------------------------------------------------------


def import_initializers(names: Sequence[str], folder: Path) -> tuple[Initializer, ...]:
    """Import functions by name and return an initializer for each, without duplicates.

    Args:
        names: ``MODULE:FUNCTION`` each. A name may also refer to an ``Initializer``, which is
            returned unchanged.
        folder: the user's folder, in which modules are looked for first.

    Raises:
        InitializerError: a module or function does not exist, or a function cannot be called.
    """
    return tuple(_import_initializer(name, folder) for name in dict.fromkeys(names))


def _import_initializer(name: str, folder: Path) -> Initializer:
    module, _, attribute = name.partition(":")
    value = getattr(_import_module(module, folder), attribute, None)
    if isinstance(value, Initializer):
        return value
    if not callable(value):
        raise InitializerError(
            f"The module {module} has no function {attribute!r}. Name one that it defines, as "
            "MODULE:FUNCTION."
        )
    return user_initializer(value, attribute)


def _import_module(name: str, folder: Path) -> object:
    """Import a module, from the user's folder too, as ``python -m`` would."""
    sys.path.insert(0, str(folder))
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InitializerError(
            f"The module {name} was requested, but there is no module {error.name!r} in {folder} "
            "or on Python's path. Install it, or run pytest in the folder that contains it."
        ) from None
    except Exception as error:
        raise InitializerError(
            f"The module {name} cannot be imported: {type(error).__name__}: {error}."
        ) from error
    finally:
        sys.path.remove(str(folder))


# ---- one function --------------------------------------------------------------------------------


def user_initializer(function: Callable[..., object], name: str) -> Initializer:
    """Return an `Initializer` that calls the user's function.

    The function may be

    - `(tensor, generator)` or `(tensor)`. It is called for each weight in turn; biases stay as
      built. It fills the tensor in place, or returns new values of the same shape and dtype.
    - `(module, generator)` or `(module)`. It is called once, with the whole network. Its first
      parameter is annotated as an nn.Module, or is named module, model or network.

    The generator is passed to a parameter named generator, or else to a second parameter that has
    no default. A function without one draws from torch's global generator, which is seeded from the
    replica's generator for the call. A function that takes a generator must draw from it: the
    global one is not seeded then, because that would hide a generator that is ignored. The state of
    torch's global generator is restored after every call; those of numpy and Python are not.

    Raises:
        InitializerError: the function cannot be called in any of these ways. The initializer itself
            raises it if the function changes a shape or a dtype, or returns something else.
    """
    if _takes_module(function, name):
        return ModuleInitializer(name, whole=_checked_module_function(function, name))
    return Initializer(name, weights=_checked_tensor_function(function, name))


@dataclass(frozen=True)
class ModuleInitializer(Initializer):
    """An initializer that calls one function with the whole network, and then applies its rules.

    Attributes:
        whole: fills the parameters of the network in place.
    """

    whole: ModuleFunction | None = None

    @torch.no_grad()
    def __call__(self, module: nn.Module, generator: torch.Generator) -> None:
        """Fill the parameters in place: first by the function, then by the rules."""
        self._require_matches(module)
        if self.whole is not None:
            self.whole(module, generator)
        super().__call__(module, generator)


def _takes_module(function: Callable[..., Any], name: str) -> bool:
    """Whether the first parameter is a network, by its annotation or else by its name."""
    first = _parameters(function, name)[0]
    annotation = first.annotation
    if isinstance(annotation, type) and annotation is not inspect.Parameter.empty:
        return issubclass(annotation, nn.Module)
    # With `from __future__ import annotations` the annotation is text that may not evaluate. From
    # Python 3.14 on, an annotation that does not evaluate is a reference with that text.
    text = getattr(annotation, "__forward_arg__", annotation)
    if isinstance(text, str) and text.rpartition(".")[2] in {"Module", "Tensor"}:
        return text.endswith("Module")
    return first.name in MODULE_PARAMETER_NAMES


def _parameters(function: Callable[..., Any], name: str) -> list[inspect.Parameter]:
    """The parameters, at least one; without a readable signature, those of `(tensor)`.

    Raises:
        InitializerError: the function takes no positional argument.
    """
    try:
        signature = signature_of(function)
    except (ValueError, NameError):
        return [inspect.Parameter("tensor", inspect.Parameter.POSITIONAL_ONLY)]
    parameters = [each for each in signature.parameters.values() if each.kind not in VARIADIC]
    if not parameters or parameters[0].kind is inspect.Parameter.KEYWORD_ONLY:
        raise InitializerError(
            f'The initializer "{name}" has the signature {signature}, which takes neither a tensor '
            "nor a module."
        )
    return parameters


# ---- checked calls -------------------------------------------------------------------------------


def _checked_tensor_function(function: Callable[..., Any], name: str) -> TensorInitializer:
    """Return an initializer of one tensor that raises if `function` changes its shape or dtype."""
    call = _with_generator(function, name)

    def fill(tensor: Tensor, generator: torch.Generator) -> Tensor:
        before = _shape_and_dtype(tensor)
        result = call(tensor, generator)
        after = _shape_and_dtype(tensor)
        if after != before:
            raise InitializerError(
                f'The initializer "{name}" turned a tensor {before} into one {after}.'
            )
        if result is None or result is tensor:
            return tensor
        if not isinstance(result, Tensor) or _shape_and_dtype(result) != before:
            is_tensor = isinstance(result, Tensor)
            what = f"a tensor {_shape_and_dtype(result)}" if is_tensor else repr(type(result))
            raise InitializerError(
                f'The initializer "{name}" was given a tensor {before} and returned {what}.'
            )
        return tensor.copy_(result)

    fill.__name__ = name
    return fill


def _checked_module_function(function: Callable[..., Any], name: str) -> ModuleFunction:
    """Return an initializer of a network that raises if the function changes its structure."""
    call = _with_generator(function, name)

    def fill(module: nn.Module, generator: torch.Generator) -> None:
        before = _shapes_and_dtypes(module)
        result = call(module, generator)
        if isinstance(result, nn.Module) and result is not module:
            raise InitializerError(
                f'The initializer "{name}" returned another module. It must fill the parameters of '
                "the module that it is given, in place."
            )
        changed = sorted(key for key, _ in before.items() ^ _shapes_and_dtypes(module).items())
        if changed:
            raise InitializerError(
                f'The initializer "{name}" added or removed parameters, or changed their shape or '
                f"dtype: {', '.join(dict.fromkeys(changed))}."
            )

    return fill


def _shape_and_dtype(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} of {tensor.dtype}"


def _shapes_and_dtypes(module: nn.Module) -> dict[str, str]:
    return {name: _shape_and_dtype(parameter) for name, parameter in module.named_parameters()}


def _with_generator(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return `function` as `(target, generator)`, which restores torch's global CPU generator.

    Raises:
        InitializerError: the function requires more than a target and a generator.
    """
    _, *others = _parameters(function, name)
    by_keyword = any(_is_generator_keyword(each) for each in others)
    required = [
        each
        for each in others
        if each.default is inspect.Parameter.empty and not _is_generator_keyword(each)
    ]
    if len(required) + by_keyword > 1 and required:
        raise InitializerError(
            f'The initializer "{name}" cannot be called: in addition to a tensor or a module and a '
            f"generator, it requires {', '.join(each.name for each in required)}."
        )

    def call(target: Tensor | nn.Module, generator: torch.Generator) -> object:
        with torch.random.fork_rng(devices=[]):
            if by_keyword:
                return function(target, generator=generator)
            if required:
                return function(target, generator)
            # Only the CPU's generator: torch.manual_seed would also seed that of every GPU.
            seed = torch.randint(2**63 - 1, (), generator=generator)
            torch.default_generator.manual_seed(int(seed))
            return function(target)

    return call


def _is_generator_keyword(parameter: inspect.Parameter) -> bool:
    """Whether the parameter accepts `generator=`."""
    positional_only = parameter.kind is inspect.Parameter.POSITIONAL_ONLY
    return parameter.name == "generator" and not positional_only
