"""Watches how a module is built: which memory nobody wrote, and which line wrote each tensor."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.utils._pytree import tree_leaves

from initcheck.inspection.modes import OperationMode
from initcheck.inspection.shown import TORCH, is_shown, shortened
from initcheck.inspection.tensors import storage

#: Which of two values fills memory that is allocated but not written. What differs between two
#: builds with one seed and both fills was computed from such memory.
Fill = Literal["nan", "number"]

UNINITIALIZED = frozenset(
    {"empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided"}
)
RANDOM = frozenset({
    "bernoulli", "bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_",
    "multinomial", "normal", "normal_", "poisson", "rand", "rand_like", "randint", "randint_like",
    "randn", "randn_like", "random", "random_", "randperm", "uniform", "uniform_",
    "_standard_gamma", "_sample_dirichlet", "binomial", "native_dropout",
})  # fmt: skip
OVERWRITES = frozenset({"copy_", "fill_", "zero_"})
#: What takes a shape from its argument, and no values.
SHAPED = frozenset({"zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full"})
#: Functions of torch.nn.init that count fans.
COUNTS_FANS = frozenset(
    {"kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_"}
)
_INIT, _LAYERS = str(TORCH / "nn" / "init.py"), str(TORCH / "nn" / "modules") + os.sep
RESIZES = frozenset({"resize_", "resize_as_"})


@dataclass(frozen=True)
class Write:
    """An operation that changed a tensor that was there already.

    Attributes:
        line: the innermost line outside torch, as ``file.py:12``.
        whole: it replaced every entry of the storage.
        explicit: no layer of torch did it in its constructor or its ``reset_parameters``.
        rule: the function of torch.nn.init that counted fans for it; empty if none.
        mode: of that function: ``fan_in``, ``fan_out`` or, for Glorot, ``both``.
        caller: the ``id`` of ``self`` in the function of the line; 0 if it has none.
        init: it is part of the user's initialization, after the build.
    """

    line: str
    whole: bool
    explicit: bool
    rule: str = ""
    mode: str = ""
    caller: int = 0
    init: bool = False


@dataclass(frozen=True)
class Lost:
    """A write that nothing keeps.

    Attributes:
        line: as of `Write`.
        why: ``meta``, ``empty`` or ``computed``, of the tensor that was written.
        tensor: that tensor.
        owner: the parametrization that computes it; None for the other two.
    """

    line: str
    why: str
    tensor: Tensor
    owner: nn.Module | None = None


class WatchedMemory(OperationMode):
    """Fills uninitialized memory, and keeps who wrote which storage, while a module is built.

    Every operation on tensors passes through here, also those in legacy constructors such as
    ``torch.Tensor(3)``.

    Attributes:
        lines: the last line that wrote a storage, by address, as ``file.py:12``.
        random: addresses of storages whose values come from torch's random operations.
        writes: what changed a storage since it was allocated, by address, in order.
        in_init: whether the user's initialization runs, after the build.
        allocated: addresses of storages that it allocated.
        lost: writes to tensors that have no values or are computed again at each use.
    """

    def __init__(self, fill: Fill) -> None:
        super().__init__()
        self.fill = fill
        self.lines: dict[int, str] = {}
        self.random: set[int] = set()
        self.writes: defaultdict[int, list[Write]] = defaultdict(list)
        self.in_init = False
        self.allocated: set[int] = set()
        self.lost: list[Lost] = []
        self._computed: dict[nn.Module, Tensor] = {}
        self._hook: Any = None

    def move(self, sources: Mapping[int, int]) -> None:
        """Keep what is known of tensors that were copied to other memory, by address."""
        lines, random, writes = {**self.lines}, {*self.random}, {**self.writes}
        allocated = {*self.allocated}
        for address, source in sources.items():
            self.lines[address] = lines.get(source, "")
            self.writes[address] = writes.get(source, [])
            for kept, after in ((random, self.random), (allocated, self.allocated)):
                (after.add if source in kept else after.discard)(address)

    def __enter__(self) -> Self:
        self._hook = nn.modules.module.register_module_forward_hook(self._keep_computed)
        return super().__enter__()  # type: ignore[no-untyped-call, no-any-return]

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._hook.remove()
        self._computed.clear()

    def _keep_computed(self, module: nn.Module, inputs: object, output: object) -> None:  # noqa: ARG002
        """Keep the last result of each parametrization, so that its address is not used again."""
        if isinstance(module, ParametrizationList) and isinstance(output, Tensor):
            originals = {storage(each) for each in module.parameters(recurse=False)}
            if storage(output) not in originals:
                self._computed[module] = output

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
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
        sources = [] if name in SHAPED else given
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
        for tensor in fresh:
            self.writes.pop(storage(tensor), None)
            if self.in_init:
                self.allocated.add(storage(tensor))
        for tensor in mutated:
            write = _write(sys._getframe(2), tensor, name)  # noqa: SLF001
            write = replace(write, init=self.in_init)
            self.writes[storage(tensor)].append(write)
            self._note_lost(write, tensor)

    def _note_lost(self, write: Write, tensor: Tensor) -> None:
        if self.in_init and (tensor.is_meta or not tensor.numel()):
            why = "meta" if tensor.is_meta else "empty"
            self.lost.append(Lost(write.line, why, tensor))
        for owner, computed in self._computed.items():
            if write.explicit and storage(computed) == storage(tensor):
                self.lost.append(Lost(write.line, "computed", computed, owner))


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


def _line(frame: FrameType | None, tensor: Tensor | None = None) -> str:
    """The innermost line outside torch and this package.

    With a tensor, it is outside of functions that only fill what others choose, too.
    """
    while frame is not None:
        if _shown(frame) and not (tensor is not None and _only_fills(frame, tensor)):
            return f"{shortened(frame.f_code.co_filename)}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def _only_fills(frame: FrameType, tensor: Tensor) -> bool:
    """Whether the function in a frame was handed a tensor, or its layer by the rule of a parent.

    Such a rule calls a helper for each layer that it chooses: ``fill(module.query, std)``.
    """
    given, back = _arguments(frame), frame.f_back
    if any(each is tensor for each in given):
        return True
    address = storage(tensor)
    if not address or back is None or back.f_code is frame.f_code or not _shown(back):
        return False
    owners = {
        id(each) for each in given if isinstance(each, nn.Module)
        if any(p is not None and storage(p) == address for p in each._parameters.values())  # noqa: SLF001
    }  # fmt: skip
    parents = [each for each in _arguments(back) if isinstance(each, nn.Module)]
    return any(id(child) in owners for each in parents for child in each._modules.values())  # noqa: SLF001


def _arguments(frame: FrameType) -> list[Any]:
    """The arguments of the function that runs in a frame, but for ``self``."""
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return [frame.f_locals.get(name) for name in names if name != "self"]


def _write(frame: FrameType | None, tensor: Tensor, name: str) -> Write:
    """Who changes a tensor, from the frames between the operation and the user's line."""
    line = _line(frame, tensor) or _line(frame)
    rule = mode = ""
    explicit = True
    while frame is not None and not _shown(frame):
        code = frame.f_code
        if code.co_filename == _INIT and code.co_name in COUNTS_FANS:
            rule, mode = code.co_name, str(frame.f_locals.get("mode", "both"))
        explicit &= not code.co_filename.startswith(_LAYERS)
        frame = frame.f_back
    caller = frame.f_locals.get("self") if frame is not None else None
    whole = name in OVERWRITES | RANDOM and bool(storage(tensor))
    whole = whole and tensor.nbytes >= tensor.untyped_storage().nbytes()
    return Write(line, whole, explicit, rule, mode, id(caller) if caller is not None else 0)


def _shown(frame: FrameType) -> bool:
    return is_shown(frame.f_code.co_filename)
