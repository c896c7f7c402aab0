"""What a fault is, and the ways to break something for a while and mend it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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
        breaks: one sentence: what is wrong while it lasts.
        where: ``torch``, as a bad release would be, or ``initcheck``.
        kills: claims bound to it beside those whose limit names it.
        apply: a context manager that breaks it on entry and mends it on exit.
        needs_accelerator: whether a machine with a CPU alone cannot show it.
    """

    name: str
    breaks: str
    where: Literal["torch", "initcheck"]
    kills: tuple[str, ...]
    apply: Callable[[], Context] = field(repr=False)
    needs_accelerator: bool = False


@contextmanager
def replaced(owner: Any, name: str, new: Any) -> Iterator[None]:
    """``owner.name`` is ``new`` for a while, whatever happens meanwhile."""
    old = vars(owner)[name]
    setattr(owner, name, new)
    try:
        yield
    finally:
        setattr(owner, name, old)


@contextmanager
def wrapped(owner: Any, names: str, around: Callable[[Function], Function]) -> Iterator[None]:
    """Each of the functions ``names`` of ``owner`` is ``around`` itself for a while."""
    old = {name: vars(owner)[name] for name in names.split()}
    for name, function in old.items():
        setattr(owner, name, wraps(function)(around(function)))
    try:
        yield
    finally:
        for name, function in old.items():
            setattr(owner, name, function)


def afterwards(owner: Any, names: str, change: Callable[[torch.Tensor], Any]) -> Context:
    """What these functions return is changed in place."""

    def around(function: Function) -> Function:
        def changed(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            with torch.no_grad():
                change(result)
            return result

        return changed

    return wrapped(owner, names, around)


@contextmanager
def before_each_step(change: Callable[[torch.Tensor], Any]) -> Iterator[None]:
    """Every parameter that has a gradient is passed to ``change`` before each optimizer's step."""
    handle = register_optimizer_step_pre_hook(lambda optimizer, *_: _visit(optimizer, change))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def after_each_step(change: Callable[[torch.Tensor], Any]) -> Iterator[None]:
    """As ``before_each_step``, after it."""
    handle = register_optimizer_step_post_hook(lambda optimizer, *_: _visit(optimizer, change))
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def _visit(optimizer: torch.optim.Optimizer, change: Callable[[torch.Tensor], Any]) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                change(parameter)


def noise(like: torch.Tensor, std: float) -> torch.Tensor:
    """N(0, std^2) of a generator of its own, the same each time."""
    generator = torch.Generator().manual_seed(like.numel())
    return std * torch.randn(like.shape, generator=generator).to(like)
