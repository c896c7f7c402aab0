"""What a fault is, and the ways to break something while a ``with`` block runs.

A function or method of this package is named by the object itself, so that mypy sees a rename:
``wrapped(arms.order, around)``. Functions of torch are named by strings:
``wrapped_in(init, "normal_ uniform_", around)``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Literal

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

Context = AbstractContextManager[None]
Function = Callable[..., Any]


@dataclass(frozen=True)
class Fault:
    """One thing that may break, and the claims that must notice.

    Attributes:
        name: as limits.toml and ``--initcheck-fault`` write it.
        breaks: one sentence that says what is wrong while the fault is applied.
        where: ``torch``, as in a bad release, or ``initcheck``.
        kills: claims bound to the fault, in addition to those whose limit names it.
        apply: returns a context manager that breaks the thing on entry and restores it on exit.
        needs_accelerator: whether the fault has no effect on a machine that has only a CPU.
    """

    name: str
    breaks: str
    where: Literal["torch", "initcheck"]
    kills: tuple[str, ...]
    apply: Callable[[], Context] = field(repr=False)
    needs_accelerator: bool = False


# --- replacing functions --------------------------------------------------------------------------


@contextmanager
def wrapped(function: Function, around: Callable[[Function], Function]) -> Iterator[None]:
    """Replace a function or method of a package by ``around(function)`` within the block.

    A method is replaced in its class. A function is replaced in every module of its package that
    holds it, so ``from module import function`` cannot hide the original. Partials, closures and
    tables that already hold the function keep the original.

    Raises:
        ValueError: its module or class does not hold the function under its name.
    """
    owner, name = _place(function)
    replacement = wraps(function)(around(function))
    if isinstance(owner, type):
        with replaced(owner, name, replacement):
            yield
        return
    _rebind(function, replacement)
    try:
        yield
    finally:
        _rebind(replacement, function)  # also in modules that were imported within the block


def _place(function: Function) -> tuple[Any, str]:
    """The module or class that holds a function, and the function's name there."""
    owner: Any = sys.modules[function.__module__]
    *classes, name = function.__qualname__.split(".")
    for each in classes:
        owner = getattr(owner, each, None)
    if getattr(owner, name, None) is not function:
        full = f"{function.__module__}.{function.__qualname__}"
        raise ValueError(
            f"{full} does not exist, or is another function, "
            "so it cannot be replaced. Give a function of a module, or a method of a class."
        )
    return owner, name


def _rebind(old: Function, new: Function) -> None:
    """Let every name in the package's modules that refers to ``old`` refer to ``new``."""
    package = old.__module__.partition(".")[0]
    modules = [
        module for name, module in sys.modules.items() if name.partition(".")[0] == package
    ]  # fmt: skip
    for module in modules:
        for name in [name for name, value in vars(module).items() if value is old]:
            setattr(module, name, new)


@contextmanager
def replaced(owner: Any, name: str, new: Any) -> Iterator[None]:
    """Set ``owner.name`` to ``new`` within the block."""
    old = vars(owner)[name]
    setattr(owner, name, new)
    try:
        yield
    finally:
        setattr(owner, name, old)


@contextmanager
def wrapped_in(owner: Any, names: str, around: Callable[[Function], Function]) -> Iterator[None]:
    """Replace each of the functions ``names`` of ``owner`` by ``around(function)``."""
    with ExitStack() as stack:
        for name in names.split():
            function = vars(owner)[name]
            stack.enter_context(replaced(owner, name, wraps(function)(around(function))))
        yield


def results_changed(owner: Any, names: str, change: Callable[[torch.Tensor], Any]) -> Context:
    """Pass the tensor that each of these functions returns to ``change``, which changes it."""

    def around(function: Function) -> Function:
        def changed(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            with torch.no_grad():
                change(result)
            return result

        return changed

    return wrapped_in(owner, names, around)


# --- optimizer steps ------------------------------------------------------------------------------


@contextmanager
def before_each_step(change: Callable[[torch.Tensor], Any]) -> Iterator[None]:
    """Pass every parameter that has a gradient to ``change`` before each optimizer's step."""
    handle = register_optimizer_step_pre_hook(lambda optimizer, *_: _visit(optimizer, change))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def after_each_step(change: Callable[[torch.Tensor], Any]) -> Iterator[None]:
    """Pass every parameter that has a gradient to ``change`` after each optimizer's step."""
    handle = register_optimizer_step_post_hook(lambda optimizer, *_: _visit(optimizer, change))
    try:
        yield
    finally:
        handle.remove()


def groups_of(params: Iterable[Any]) -> list[dict[str, Any]]:
    """What an optimizer is given, as groups of parameters; without groups they are one."""
    given = list(params)
    return given if isinstance(given[0], dict) else [{"params": given}]


@torch.no_grad()
def _visit(optimizer: torch.optim.Optimizer, change: Callable[[torch.Tensor], Any]) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                change(parameter)


def noise(like: torch.Tensor, std: float) -> torch.Tensor:
    """N(0, std^2) in the shape of ``like``, with the same values for every tensor of its size."""
    generator = torch.Generator().manual_seed(like.numel())
    return std * torch.randn(like.shape, generator=generator).to(like)
