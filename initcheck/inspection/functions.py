"""The user's own `torch.autograd.Function`s: is the backward the derivative of the forward?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from initcheck.inspection.exact import Exact, default_float64
from initcheck.inspection.surroundings import seed_everything

Verdict = Literal["right", "wrong", "on purpose", "unknown"]

#: Entries of each input whose slope is taken.
_ENTRIES = 12
#: A step relative to the size of the input, and a second one that must agree.
_STEPS = (1e-5, 2.5e-6)
#: A backward is wrong where it differs from the slope by so large a part.
_PART = 0.01
#: Of larger calls nothing is kept.
_LARGEST = 4_000_000


@dataclass(frozen=True)
class Called:
    """One call of a Function, with copies of what it was given."""

    function: type[torch.autograd.Function]
    args: tuple[Any, ...]


@dataclass(frozen=True)
class Judgement:
    """Whether a Function's backward is right; the numbers of the worst entry if it is wrong."""

    verdict: Verdict
    place: int = 0
    backward: float = 0.0
    slope: float = 0.0


def functions_of(loss: Tensor) -> list[type[torch.autograd.Function]]:
    """The Functions in the graph of a loss that torch does not define itself."""
    found: dict[type[torch.autograd.Function], None] = {}
    seen, waiting = set(), [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting += [each for each, _ in node.next_functions]
        function = getattr(type(node), "_forward_cls", None)
        if function is not None:
            name = function.__module__
            if not name.startswith("torch.") or name.startswith("torch._library"):
                found[function] = None
    return [*found]


@contextmanager
def watched(functions: list[type[torch.autograd.Function]]) -> Iterator[dict[type, Called]]:
    """Keep what each Function is given at its first call, by a wrapper around its forward."""
    calls: dict[type, Called] = {}
    with ExitStack() as stack:
        for function in functions:
            own = vars(function).get("forward")
            setattr(function, "forward", staticmethod(_wrapped(function, calls)))  # noqa: B010
            stack.callback(_restore, function, own)
        yield calls


def _restore(function: type[torch.autograd.Function], own: Any) -> None:
    if own is None:
        del function.forward
    else:
        setattr(function, "forward", own)  # noqa: B010


def _wrapped(function: type[torch.autograd.Function], calls: dict[type, Called]) -> Any:
    forward = function.forward
    plain = torch.autograd.Function.setup_context
    without_context = function.setup_context is not plain

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        given = args if without_context else args[1:]
        tensors = [each for each in tree_leaves(given) if isinstance(each, Tensor)]
        small = sum(each.numel() for each in tensors) <= _LARGEST
        if small and not kwargs and function not in calls:
            calls[function] = Called(function, tuple(_copied(each) for each in given))
        return forward(*args, **kwargs)

    return wrapper


def _copied(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    return value.detach().clone().requires_grad_(value.requires_grad)


def judge(call: Called) -> Judgement:
    """Compare the backward with slopes of the forward, at some entries of each input.

    A Function that is a step in an input, or the identity, defines another gradient on purpose:
    straight-through estimators, surrogates of spikes, reversed and scaled gradients.
    """
    try:
        with default_float64(), Exact() as mode:
            return _judge(call, mode)
    except Exception:  # noqa: BLE001 -- user code that is called outside its module
        return Judgement("unknown")


def _judge(call: Called, mode: Exact) -> Judgement:
    inputs = [
        each.double() if isinstance(each, Tensor) and each.is_floating_point() else each
        for each in call.args
    ]
    places = [
        n for n, each in enumerate(call.args)
        if isinstance(each, Tensor) and each.requires_grad and each.is_floating_point()
    ]  # fmt: skip
    leaves = [
        each.detach().clone().requires_grad_(n in places) if isinstance(each, Tensor)
        and each.is_floating_point() else each
        for n, each in enumerate(inputs)
    ]  # fmt: skip
    with torch.enable_grad():
        outputs = _outputs(call, leaves)
        weights = _weights(outputs)
        total = torch.stack(
            [(each * weight).sum() for each, weight in zip(outputs, weights, strict=True)]
        ).sum()
        mode.backward = True
        gradients = torch.autograd.grad(total, [leaves[n] for n in places], allow_unused=True)
        mode.backward = False
    identity = _is_identity(call, inputs, places)
    worst = Judgement("right")
    for place, gradient in zip(places, gradients, strict=True):
        given = torch.zeros_like(inputs[place]) if gradient is None else gradient
        entry = _worst_entry(call, inputs, place, given, weights)
        if entry.verdict == "on purpose" or (identity and entry.verdict == "wrong"):
            return Judgement("on purpose")
        if entry.verdict == "wrong" and worst.verdict == "right":
            worst = entry
    return worst


def _is_identity(call: Called, inputs: list[Any], places: list[int]) -> bool:
    """Whether an output repeats an input, whatever the values are."""
    generator = torch.Generator().manual_seed(1)
    moved = list(inputs)
    for n in places:
        noise = torch.randn(inputs[n].shape, generator=generator, dtype=torch.float64)
        moved[n] = inputs[n].detach() + noise.to(inputs[n].device)
    with torch.no_grad():
        outputs = _outputs(call, moved)
    return any(
        out.shape == moved[n].shape and torch.equal(out, moved[n])
        for out in outputs
        for n in places
    )


def _worst_entry(
    call: Called, inputs: list[Any], place: int, gradient: Tensor, weights: list[Tensor]
) -> Judgement:
    values = inputs[place]
    count = values.numel()
    chosen = sorted({int((n + 0.5) * count / _ENTRIES) for n in range(_ENTRIES)})
    size = float(values.square().mean().sqrt()) or 1.0
    largest = float(gradient.abs().max()) if count else 0.0
    steps, worst = 0, Judgement("right", place)
    for entry in [each for each in chosen if each < count]:
        given = float(gradient.reshape(-1)[entry])
        slopes = [_slope(call, inputs, weights, (place, entry), step * size) for step in _STEPS]
        gap = abs(given - slopes[1])
        if gap <= _PART * max(abs(given), abs(slopes[1])) + 1e-6 * largest:
            continue
        if abs(slopes[0] - slopes[1]) > 0.1 * gap:
            continue  # a kink or a jump is too near
        if abs(slopes[1]) <= 1e-6 * abs(given):
            steps += 1
            continue
        if worst.verdict == "right" or gap > abs(worst.backward - worst.slope):
            worst = Judgement("wrong", place, given, slopes[1])
    return Judgement("on purpose", place) if steps else worst


def _slope(
    call: Called, inputs: list[Any], weights: list[Tensor], where: tuple[int, int], step: float
) -> float:
    """The slope of the weighted outputs along one entry of one input."""
    place, entry = where
    totals = []
    for sign in (1.0, -1.0):
        moved = [each.detach().clone() if isinstance(each, Tensor) else each for each in inputs]
        moved[place].view(-1)[entry] += sign * step
        with torch.no_grad():
            outputs = _outputs(call, moved)
            totals.append(
                sum(float((each * w).sum()) for each, w in zip(outputs, weights, strict=True))
            )
    return (totals[0] - totals[1]) / (2 * step)


def _outputs(call: Called, args: list[Any]) -> list[Tensor]:
    seed_everything(0)
    result = call.function.apply(*args)
    return [
        each for each in tree_leaves(result)
        if isinstance(each, Tensor) and each.is_floating_point()
    ]  # fmt: skip


def _weights(outputs: list[Tensor]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(each.shape, generator=generator, dtype=torch.float64).to(each.device)
        for each in outputs
    ]
