"""One forward and backward pass of the module under a mode, which leaves it as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from initcheck.inspection.calling import unreached
from initcheck.inspection.exact import BiasAfterwards, Exact, SameRandom, default_float64
from initcheck.inspection.findings import InspectionError
from initcheck.inspection.functions import functions_of
from initcheck.inspection.sketches import along, sketch
from initcheck.inspection.subject import Subject
from initcheck.inspection.surroundings import (
    give_back_after,
    give_back_memory,
    seed_everything,
)
from initcheck.inspection.tensors import named_tensors, storage
from initcheck.inspection.unchanged import cloned, unchanged

#: From so many numbers on, the first sample alone is computed, to save time.
LARGE = 20_000_000


@dataclass
class Gradients:
    """What one backward pass gave.

    Attributes:
        summaries: of the gradient of each trainable parameter that has one; see `sketch`.
        slopes: the sum of a gradient's entries with random signs, for parameters with a seed.
        cuts: how many results autograd did not see.
        hooks: how many hooks on gradients the forward pass registered.
        functions: `torch.autograd.Function`s that torch does not define.
        padding: a row that gets no gradient by design, by parameter.
        on_purpose: operations of torch whose gradient is not the slope.
        differentiates: whether the loss contains gradients, as a penalty on them does.
        decisions: of the forward pass; see `SameRandom`.
    """

    loss: float = 0.0
    summaries: dict[str, Tensor] = field(default_factory=dict)
    slopes: dict[str, float] = field(default_factory=dict)
    cuts: int = 0
    hooks: int = 0
    functions: list[type[torch.autograd.Function]] = field(default_factory=list)
    padding: dict[str, int] = field(default_factory=dict)
    on_purpose: set[str] = field(default_factory=set)
    differentiates: bool = False
    decisions: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Runner:
    """A module on a device with a batch, of which gradients are taken.

    Attributes:
        seeds: of the random signs along which slopes are taken, by parameter.
    """

    subject: Subject
    module: nn.Module
    batch: Any
    seeds: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, subject: Subject, module: nn.Module, batch: Any) -> Runner:
        """With a direction for each trainable real parameter."""
        names = [each for each in named_tensors(module) if each.trainable]
        seeds = {each.name: n for n, each in enumerate(names) if each.tensor.is_floating_point()}
        return cls(subject, module, batch, seeds)

    @property
    def numbers(self) -> int:
        """How many numbers its parameters have."""
        return sum(each.numel() for each in self.module.parameters())

    def gradients(self, mode: SameRandom) -> Gradients:
        """The gradients in training mode.

        Raises:
            InspectionError: a pass cannot be made, or the loss is not finite.
        """
        result = Gradients()

        def take(name: str) -> Callable[[Tensor], None]:
            def hook(parameter: Tensor) -> None:
                gradient, parameter.grad = parameter.grad, None
                give_back_after(parameter)
                if gradient is not None:
                    result.summaries[name] = sketch(gradient) + result.summaries.get(name, 0.0)
                    if isinstance(mode, Exact) and name in self.seeds:
                        row = mode.padding.get(storage(parameter))
                        if row is not None:
                            result.padding[name] = row
                            gradient = gradient.to_dense() if gradient.is_sparse else gradient
                            gradient[row].zero_()
                        slope = along(gradient, self.seeds[name])
                        result.slopes[name] = slope + result.slopes.get(name, 0.0)

            return hook

        with self._prepared(mode) as functions, ExitStack() as hooks:
            for each in named_tensors(self.module):
                if each.trainable:
                    handle = each.tensor.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
                        take(each.name)
                    )
                    hooks.callback(handle.remove)
            loss = self._loss()
            _demand(loss.requires_grad)
            result.decisions = tuple(mode.decisions)
            if isinstance(mode, Exact):
                result.functions = functions_of(loss)
                result.cuts, result.hooks = mode.cuts + functions.cuts, functions.hooks
                result.differentiates = functions.differentiates
                result.on_purpose, mode.backward = mode.on_purpose, True
                hooks.enter_context(hooks_in_dtype(self.module))
            result.loss = _finite(loss)
            loss.backward()  # type: ignore[no-untyped-call]
        give_back_memory()
        _demand(result.summaries)
        return result

    def loss(self, mode: SameRandom, *, grad: bool = False) -> float:
        """The loss alone, in training mode, with or without a graph.

        Raises:
            InspectionError: as `gradients`.
        """
        with self._prepared(mode), torch.set_grad_enabled(grad):
            return _finite(self._loss())

    def _loss(self) -> Tensor:
        seed_everything(0, self.subject.device)
        return self.subject.first_loss(self.module, cloned(self.batch))

    @contextmanager
    def _prepared(self, mode: SameRandom) -> Iterator[BiasAfterwards]:
        functions = BiasAfterwards()
        with ExitStack() as stack:
            stack.enter_context(unchanged(self.module))
            if isinstance(mode, Exact):
                stack.enter_context(default_float64())
                stack.enter_context(functions)
                stack.enter_context(_in_one_thread())
            self.module.train()
            stack.enter_context(mode)
            yield functions


@contextmanager
def _in_one_thread() -> Iterator[None]:
    """Refuse modules that run in other threads, where no mode of torch is on.

    Raises:
        InspectionError: a module was called in another thread.
    """
    here, elsewhere = threading.get_ident(), False
    shown = threading.excepthook

    def note(module: nn.Module, inputs: object) -> None:  # noqa: ARG001 -- torch calls it with both
        nonlocal elsewhere
        elsewhere |= threading.get_ident() != here

    hook = nn.modules.module.register_module_forward_pre_hook(note)
    threading.excepthook = lambda error: None  # prints the traceback of a thread
    try:
        yield
    finally:
        threading.excepthook = shown
        hook.remove()
    if elsewhere:
        raise InspectionError("Its layers run in other threads, where float64 cannot be set.")


@contextmanager
def hooks_in_dtype(module: nn.Module) -> Iterator[None]:
    """Round what hooks on parameters return to the dtype of the gradient, as autograd demands."""
    tables = [each._backward_hooks for each in module.parameters() if each._backward_hooks]  # noqa: SLF001
    kept = [dict(each) for each in tables]
    for table in tables:
        for key, hook in table.items():
            table[key] = _in_dtype(hook)
    try:
        yield
    finally:
        for table, hooks in zip(tables, kept, strict=True):
            table.update(hooks)


def _in_dtype(hook: Callable[[Tensor], Tensor | None]) -> Callable[[Tensor], Tensor | None]:
    def rounded(gradient: Tensor) -> Tensor | None:
        result = hook(gradient)
        return None if result is None else result.to(gradient.dtype)

    return rounded


def _demand(reached: object) -> None:
    if not reached:
        raise unreached()


def _finite(loss: Tensor) -> float:
    value = float(loss.detach())
    if not torch.isfinite(loss.detach()):
        raise InspectionError(f"The loss is {value}.")
    return value


def first_sample(batch: Any) -> Any:
    """The first sample of a batch: of each tensor whose length is that of the first tensor."""
    leaves = torch.utils._pytree.tree_leaves(batch)  # noqa: SLF001 -- has no public name yet
    count = next((len(each) for each in leaves if isinstance(each, Tensor) and each.dim()), 0)
    return tree_map(
        lambda leaf: leaf[:1] if isinstance(leaf, Tensor) and leaf.dim() and len(leaf) == count
        else leaf,
        batch,
    )  # fmt: skip


def on_cpu(runner: Runner, seed: int) -> Runner:
    """The same on the CPU."""
    if runner.subject.device == "cpu":
        return runner
    subject = replace(runner.subject, device="cpu")
    batch = tree_map(lambda leaf: leaf.cpu() if isinstance(leaf, Tensor) else leaf, runner.batch)
    return Runner.of(subject, subject(seed, None).module, batch)


def in_float64(runner: Runner) -> Runner:
    """The same with a float64 copy of the module, for modules that compare dtypes themselves."""
    import copy  # noqa: PLC0415 -- used here alone

    module = copy.deepcopy(runner.module).double()
    batch = tree_map(
        lambda leaf: leaf.double() if isinstance(leaf, Tensor) and leaf.is_floating_point()
        else leaf,
        runner.batch,
    )  # fmt: skip
    return replace(runner, module=module, batch=batch)
