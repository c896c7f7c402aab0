"""The first step's forward passes: what goes in, and whether random numbers are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from initcheck.trajectory import traces
from initcheck.trajectory.traces import Trace


class FirstPass:
    """Sketches the inputs of the first module that is called, and notes if any draws.

    Any module counts, not only the outermost: loops call parts of a model, such as its encoder, and
    Lightning calls a module's ``training_step``.
    """

    def __init__(self, model: nn.Module, trace: Trace) -> None:
        self._trace, self._device, self._depth = trace, "cpu", 0
        self._before = torch.empty(0, device="cpu")
        self._modules = list(dict.fromkeys(seen_from_outside(model)))
        self._mine = {id(module) for module in self._modules}  # a copy of a module has its hooks
        self._handles: list[Any] = []
        self._compiled: dict[int, Any] = {}
        for module in self._modules:
            compiled = getattr(module, "_compiled_call_impl", None)
            if compiled is not None:
                self._wrap(module, compiled)
                continue
            self._handles += [
                module.register_forward_pre_hook(self._enter, with_kwargs=True),
                module.register_forward_hook(self._leave, always_call=True),
            ]

    def end(self) -> None:
        """Stop: the first step is over."""
        for handle in self._handles:
            handle.remove()
        for module in self._modules:
            if id(module) in self._compiled:
                module._compiled_call_impl = self._compiled[id(module)]  # noqa: SLF001
        self._mine, self._modules, self._handles = set(), [], []

    def _wrap(self, module: nn.Module, compiled: Any) -> None:
        """Note the calls of a module that was compiled in place, which compiles its hooks."""
        self._compiled[id(module)] = compiled

        def call(*args: Any, **kwargs: Any) -> Any:
            self._enter(module, args, kwargs)
            output = None
            try:
                output = compiled(*args, **kwargs)
            finally:
                self._leave(module, args, output)
            return output

        module._compiled_call_impl = call  # noqa: SLF001

    def _enter(self, module: nn.Module, args: Any, kwargs: Any) -> None:
        if id(module) not in self._mine:
            return
        self._depth += 1
        if self._depth > 1:
            return
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if self._trace.batch is None:
            self._trace.batch = list(_sketched(tensors))
        if not self._trace.draws:
            parameter = next((each for _, each in traces.tensors_of(module)), self._before)
            self._device = parameter.device.type
            self._before = generator_state(self._device)

    def _leave(self, module: nn.Module, _args: Any, output: Any) -> None:
        if id(module) not in self._mine or not self._depth:
            return
        if not self._trace.coarse:
            self._trace.coarse = any(
                isinstance(leaf, Tensor) and leaf.dtype in traces.LOW
                for leaf in tree_leaves(output)
            )
        self._depth -= 1
        if not self._depth and not self._trace.draws:
            after = generator_state(self._device)
            self._trace.draws = not torch.equal(self._before, after)


def seen_from_outside(module: nn.Module) -> Iterator[nn.Module]:
    """The modules of a tree, but not those inside a compiled one: it would compile their hooks."""
    yield module
    if compiled(module):
        return
    for child in module.children():
        yield from seen_from_outside(child)


def compiled(module: nn.Module) -> bool:
    """Whether torch.compile made this module, or compiled it in place."""
    return hasattr(module, "_orig_mod") or (
        getattr(module, "_compiled_call_impl", None) is not None
    )


def _sketched(tensors: list[Tensor]) -> Iterator[Tensor]:
    for number, each in enumerate(tensors):
        if not each.is_meta and each.layout == torch.strided:
            yield traces.way(f"{number} {traces.in_words(each)}", each.detach())


def generator_state(device: str) -> Tensor:
    """The state of torch's generator for a type of device; the CPU's if it has none."""
    module = getattr(torch, device, None)
    if device == "cpu" or not hasattr(module, "get_rng_state"):
        return torch.get_rng_state()
    return module.get_rng_state()  # type: ignore[no-any-return, union-attr]
