"""Watches how a module is built: which memory nobody wrote, and which line wrote each tensor."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import initcheck
from initcheck.inspection.tensors import storage

#: Which of two values fills memory that is allocated but not written. What differs between two
#: builds with one seed and both fills was computed from such memory.
Fill = Literal["nan", "number"]

UNINITIALIZED = frozenset(
    {"empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided"}
)
RANDOM = frozenset(
    [
        "bernoulli",
        "bernoulli_",
        "cauchy_",
        "exponential_",
        "geometric_",
        "log_normal_",
        "multinomial",
        "normal",
        "normal_",
        "poisson",
        "rand",
        "rand_like",
        "randint",
        "randint_like",
        "randn",
        "randn_like",
        "random",
        "random_",
        "randperm",
        "uniform",
        "uniform_",
        "_standard_gamma",
        "_sample_dirichlet",
        "binomial",
        "native_dropout",
    ]
)
OVERWRITES = frozenset({"copy_", "fill_", "zero_"})
RESIZES = frozenset({"resize_", "resize_as_"})
_NOT_SHOWN = tuple(
    f"{Path(file).parent}{os.sep}" for file in (torch.__file__, initcheck.__file__, copy.__file__)
)


class WatchedMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fills uninitialized memory, and keeps who wrote which storage, while a module is built.

    Every operation on tensors passes through here, also those in legacy constructors such as
    ``torch.Tensor(3)``.

    Attributes:
        lines: the last line that wrote a storage, by address, as ``file.py:12``.
        random: addresses of storages whose values come from torch's random operations.
    """

    def __init__(self, fill: Fill) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.fill = fill
        self.lines: dict[int, str] = {}
        self.random: set[int] = set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here, and importing the compiler takes as long as torch itself."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = func._schema.name.rpartition("::")[2]  # noqa: SLF001
        size = args[0].untyped_storage().nbytes() if name in RESIZES else 0
        result = func(*args, **(kwargs or {}))
        if name in RESIZES:
            _fill_after(args[0], size, self.fill)
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        written = [each for each in tree_leaves(result) if isinstance(each, Tensor)]
        if name in UNINITIALIZED:
            for tensor in written:
                fill_(tensor, self.fill)
        before = {storage(each) for each in given}
        fresh = [each for each in written if storage(each) not in before]
        mutated = _mutated(func, args, kwargs or {})
        if fresh or mutated:
            self._note(func, name, given, fresh, mutated)
        return result

    def _note(
        self, func: Any, name: str, given: list[Tensor], fresh: list[Tensor], mutated: list[Tensor]
    ) -> None:
        line = _line(sys._getframe(2))  # noqa: SLF001
        sources = given
        if name in OVERWRITES or "out" in func._overloadname:  # noqa: SLF001
            replaced = {id(each) for each in mutated}  # their old values are gone
            sources = [each for each in given if id(each) not in replaced]
        random = name in RANDOM or any(storage(each) in self.random for each in sources)
        for tensor in (*fresh, *mutated):
            address = storage(tensor)
            self.lines[address] = line
            part = tensor.nbytes < tensor.untyped_storage().nbytes() if address else False
            kept = part and address in self.random  # the rest of it is as random as before
            (self.random.add if random or kept else self.random.discard)(address)


def _mutated(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """The arguments that an operation writes, by its schema."""
    arguments = func._schema.arguments  # noqa: SLF001
    named = {each.name: value for each, value in zip(arguments, args, strict=False)} | {**kwargs}
    written = [
        named.get(each.name) for each in arguments
        if each.alias_info is not None and each.alias_info.is_write
    ]  # fmt: skip
    return [each for each in tree_leaves(written) if isinstance(each, Tensor)]


def fill_(tensor: Tensor, fill: Fill) -> None:
    """Fill a tensor in place with the first or the second value for its dtype."""
    if tensor.is_meta or tensor.is_quantized or tensor.layout != torch.strided:
        return
    if tensor.is_floating_point() or tensor.is_complex():
        tensor.fill_(torch.nan if fill == "nan" else 12_345.0 if tensor.element_size() > 1 else 7.0)
    elif tensor.dtype == torch.bool:
        tensor.fill_(fill == "nan")
    else:
        largest = torch.iinfo(tensor.dtype).max
        tensor.fill_(largest if fill == "nan" else largest // 3)


def _fill_after(tensor: Tensor, size: int, fill: Fill) -> None:
    """Fill the memory that a tensor has gained after its first bytes, so many as ``size``."""
    if tensor.is_meta or not storage(tensor):
        return
    whole = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    whole.set_(tensor.untyped_storage())
    fill_(whole[size // tensor.element_size() :], fill)


def unwritten(tensor: Tensor, fill: Fill) -> Tensor:
    """Which entries hold the fill's value."""
    if tensor.is_floating_point() and fill == "nan":
        return tensor.isnan()
    filled = torch.empty_like(tensor)
    fill_(filled, fill)
    return tensor == filled


def _line(frame: FrameType | None) -> str:
    """The innermost line outside torch and this package."""
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((*_NOT_SHOWN, "<")):
            return f"{_shortened(file)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


@cache
def _shortened(file: str) -> str:
    """A path relative to the working directory or to site-packages, where it is below either."""
    _, _, inside = file.partition("site-packages/")
    if inside:
        return inside
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        return file
