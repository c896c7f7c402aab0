"""Runs any module in float64 without a copy of it, and with the same random numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from initcheck.inspection.memory import RANDOM
from initcheck.inspection.modes import OperationMode
from initcheck.inspection.parts import equal_shapes, product_in_parts, sum_in_parts
from initcheck.inspection.tensors import storage

#: What is computed in float64 instead.
WIDER = {
    torch.float16: torch.float64,
    torch.bfloat16: torch.float64,
    torch.float32: torch.float64,
    torch.complex64: torch.complex128,
}

_TORCH = str(Path(torch.__file__).parent)

#: Random functions that return whole numbers unless they are asked for others.
WHOLE = frozenset({"randint", "randperm"})
_DECISIONS = frozenset({torch.bool, torch.int32, torch.int64})


class SameRandom(OperationMode):  # type: ignore[no-untyped-call]
    """Draws random numbers in float64 and rounds them, so that every dtype gets the same ones.

    Attributes:
        decisions: the size and the sum of each whole-number or logical result: comparisons,
            indices of maxima, orders. They differ where float64 decides otherwise.
    """

    def __init__(self) -> None:
        super().__init__()
        self.decisions: list[tuple[int, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = self._run(func, args, kwargs or {})
        self.decisions += [
            (each.numel(), int(each.sum())) for each in tree_leaves(result)
            if isinstance(each, Tensor) and each.dtype in _DECISIONS and not each.is_meta
        ]  # fmt: skip
        return result

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        if _named(func) in RANDOM:
            return _drawn(func, args, kwargs)
        return func(*args, **kwargs)


class Exact(SameRandom):  # type: ignore[no-untyped-call]
    """Computes in float64 whatever the dtypes of the module's tensors and its casts are.

    Operands are converted for each operation and released after it, so no second module is held.

    Attributes:
        moved: for the address of a parameter's memory, a function that returns the parameter's
            values in float64 after a small move along a direction; empty to compute at the start.
        backward: set it before the backward pass, where autograd casts gradients to the dtype of
            their parameters.
        cuts: how many results autograd does not see: numbers taken out, ``detach`` inside torch, or
            operations without grad mode. `BiasAfterwards` counts ``detach`` in the user's code.
        padding: the row of a table that gets no gradient from ``embedding``, by address.
        on_purpose: operations of torch whose gradient is not the slope.
    """

    def __init__(self, moved: Mapping[int, Callable[[], Tensor]] | None = None) -> None:
        super().__init__()
        self.moved = dict(moved or {})
        self.backward = False
        self.cuts = 0
        self.padding: dict[int, int] = {}
        self.on_purpose: set[str] = set()

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        name = _named(func)
        if name in RANDOM:
            return _drawn(func, args, kwargs, exact=True)
        if not self.backward:
            self._note(name, args, sys._getframe(2))  # noqa: SLF001
        if _is_view(func) or (self.backward and name == "_to_copy") or name == "copy_":
            if name == "copy_" and self.moved:
                args = (args[0], *tree_map(self._wide, args[1:]))
            return func(*args, **kwargs)
        if name == "embedding" and not self.moved:  # selects rows: exact, without a wide table
            return tree_map(self._wide, func(*args, **kwargs))
        if self.backward and name == "add" and not kwargs and equal_shapes(args):
            return sum_in_parts(*args)
        if name in {"mm", "addmm"} and not self.moved and not kwargs and not _sparse(args):
            product = product_in_parts(*args[-2:])
            if product is not None:
                return product if name == "mm" else product.add_(args[0])
        return self._computed(func, args, kwargs)

    def _note(self, name: str, args: tuple[Any, ...], frame: FrameType) -> None:
        """Note what makes a gradient differ from the slope.

        Autograd itself detaches what it saves, so a ``detach`` counts by the code that calls it.
        """
        code = frame.f_code
        called = "detach" in code.co_names and code.co_filename.startswith(_TORCH)
        cut = name == "_local_scalar_dense" or (name == "detach" and called)
        if cut or not torch.is_grad_enabled():
            self.cuts += any(each.requires_grad for each in args if isinstance(each, Tensor))
        if name == "embedding" and len(args) > 2 and args[2] >= 0:
            self.padding[storage(args[0])] = args[2]
        if name == "embedding" and len(args) > 3 and args[3]:
            self.on_purpose.add("scale_grad_by_freq")
        if "fake_quantize" in name:
            self.on_purpose.add(name.strip("_"))

    def _computed(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        written = _written(func)
        originals: dict[int, Tensor] = {}

        def widened(place: int | str, value: Any) -> Any:
            wide = tree_map(self._wide, value)
            if place in written and isinstance(value, Tensor) and wide is not value:
                originals[id(wide)] = value
                copies.append(wide)
            return wide

        copies: list[Tensor] = []
        wide_args = tuple(widened(place, value) for place, value in enumerate(args))
        wide_kwargs = {place: widened(place, value) for place, value in kwargs.items()}
        result = func(*wide_args, **wide_kwargs)
        for copy in copies:
            originals[id(copy)].copy_(copy)
        if originals:
            return tree_map(lambda each: originals.get(id(each), each), result)
        return result

    def _wide(self, value: Any) -> Any:
        if isinstance(value, torch.dtype):
            return WIDER.get(value, value)
        if not isinstance(value, Tensor):
            return value
        if self.moved and storage(value) in self.moved:
            whole = self.moved[storage(value)]()
            if value.is_complex() and not whole.is_complex():
                whole = torch.view_as_complex(whole.as_strided((whole.numel() // 2, 2), (2, 1)))
            whole = whole.as_strided(value.shape, value.stride(), value.storage_offset())
            whole = whole.conj() if value.is_conj() else whole
            return -whole if value.is_neg() else whole
        wider = WIDER.get(value.dtype)
        return value if wider is None else value.to(wider)


def _drawn(
    func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, exact: bool = False
) -> Any:
    """Draw on the CPU in float64, the same for each index, and round unless it is to stay exact.

    Whole numbers keep their dtype.
    """
    name = _named(func)
    if name.endswith("_"):
        target = args[0]
        values = torch.empty(target.shape, dtype=WIDER.get(target.dtype, target.dtype))
        func(values, *tree_map(_widened, args[1:]), **kwargs)
        return target.copy_(values)
    given = next((each for each in args if isinstance(each, Tensor)), None)
    default = torch.int64 if name in WHOLE else torch.get_default_dtype()
    asked_for = kwargs.get("dtype") or (default if given is None else given.dtype)
    wide = WIDER.get(asked_for, asked_for)
    device = kwargs.get("device") or (None if given is None else given.device)
    more: dict[str, Any] = {"dtype": wide} if "dtype" in _argument_names(func) else {}
    more |= {"device": "cpu"} if "device" in kwargs else {}
    drawn = func(*tree_map(_widened, args), **(tree_map(_widened, dict(kwargs)) | more))
    wanted = wide if exact else asked_for

    def placed(each: Tensor) -> Tensor:
        each = each.to(device, wanted if each.dtype == wide else each.dtype)
        if given is None or each.shape != given.shape:
            return each
        return torch.empty_like(given, dtype=each.dtype).copy_(each)  # the strides of the operand

    return tree_map(placed, drawn)


def _widened(value: Any) -> Any:
    if isinstance(value, Tensor):  # contiguous, since numbers are drawn in the order of memory
        return value.to("cpu", WIDER.get(value.dtype, value.dtype)).contiguous()
    return value


def _sparse(args: tuple[Tensor, ...]) -> bool:
    return any(each.layout != torch.strided for each in args)


@cache
def _named(func: Any) -> str:
    return str(func._schema.name.rpartition("::")[2])  # noqa: SLF001


@cache
def _argument_names(func: Any) -> frozenset[str]:
    return frozenset(each.name for each in func._schema.arguments)  # noqa: SLF001


@cache
def _is_view(func: Any) -> bool:
    """Whether the result shares memory with an argument that is not written."""
    return any(
        each.alias_info is not None and not each.alias_info.is_write
        for each in func._schema.returns  # noqa: SLF001
    )


@cache
def _written(func: Any) -> frozenset[int | str]:
    """Places and names of the arguments that an operation writes."""
    return frozenset(
        key
        for place, each in enumerate(func._schema.arguments)  # noqa: SLF001
        if each.alias_info is not None and each.alias_info.is_write
        for key in (place, each.name)
    )


class BiasAfterwards(TorchFunctionMode):
    """Adds the bias of a convolution after it: torch refuses another dtype before `Exact` sees it.

    For a module whose parameters are not float64.

    Attributes:
        hooks: how many hooks on gradients the forward pass registered.
        cuts: how many results it hides from autograd, by ``detach`` or ``.data``.
        differentiates: whether the forward pass takes gradients itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hooks = 0
        self.cuts = 0
        self.differentiates = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        self.hooks += func is Tensor.register_hook
        self.differentiates |= func in (torch.autograd.grad, Tensor.backward)
        if func in CUTS or (func is torch.autograd.grad and not kwargs.get("create_graph")):
            given = tree_leaves(args)
            self.cuts += any(each.requires_grad for each in given if isinstance(each, Tensor))
        dimensions = CONVOLUTIONS.get(func)
        if dimensions is None:
            return func(*args, **kwargs)
        bias = kwargs.pop("bias", args[2] if len(args) > 2 else None)
        result = func(*args[:2], *([None, *args[3:]] if len(args) > 2 else []), **kwargs)
        return result if bias is None else result + bias.view(-1, *[1] * dimensions)


#: Functions whose results autograd does not connect with their operands.
CUTS = frozenset(
    {
        torch.detach, torch.tensor, Tensor.detach, Tensor.detach_, Tensor.new_tensor,
        Tensor.data.__get__,  # type: ignore[attr-defined]
    }
)  # fmt: skip

#: How many dimensions follow the channels, by function.
CONVOLUTIONS = {
    torch.conv1d: 1,
    torch.conv2d: 2,
    torch.conv3d: 3,
    torch.conv_transpose1d: 1,
    torch.conv_transpose2d: 2,
    torch.conv_transpose3d: 3,
}


@contextmanager
def default_float64() -> Iterator[None]:
    """Numbers without a dtype are float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
