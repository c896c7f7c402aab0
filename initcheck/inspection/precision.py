"""A check of modules that are built in low precision, against the same build in float32."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from initcheck.inspection.fans import moments
from initcheck.inspection.findings import Finding, InspectionError, NotJudged
from initcheck.inspection.laws import differ
from initcheck.inspection.start import Start, by_name
from initcheck.inspection.tensors import Named
from initcheck.inspection.unchanged import cloned, unchanged

LOW = frozenset({torch.bfloat16, torch.float16})
#: The probability that a module that draws the same laws in both precisions is judged otherwise.
RATE = 1e-4
RATIO = 1.5  # of two variances that matters; rounding to bfloat16 changes one by less than 1 %
SHIFT = 0.25  # of two means that matters, in standard deviations
TABLE = 1 / 16  # of the largest entry; rounding to bfloat16 moves an entry by 1/256 of it


class _InSingle(TorchFunctionMode):
    """Replaces every low precision by float32."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.bfloat16, Tensor.half):
            return args[0].float()
        args, kwargs = tree_map(_single, (args, dict(kwargs or {})))
        return func(*args, **kwargs)


def _single(value: Any) -> Any:
    return torch.float32 if isinstance(value, torch.dtype) and value in LOW else value


@contextmanager
def in_single() -> Iterator[None]:
    """Build in float32, whatever precision is named, also as the default."""
    default, chosen = torch._C._set_default_dtype, torch.get_default_dtype()  # noqa: SLF001
    torch._C._set_default_dtype = lambda d: default(_single(d))  # noqa: SLF001
    try:
        default(_single(chosen))
        with _InSingle():
            yield
    finally:
        torch._C._set_default_dtype = default  # noqa: SLF001
        default(chosen)


def check_dtype(start: Start) -> Iterator[Finding]:
    """Tensors in double precision that make others so; those in low precision with another law."""
    yield from _doubled(start)
    yield from _lowered(start)


def _doubled(start: Start) -> Iterator[Finding]:
    """A few tensors in float64 among others in float32, and a first loss in float64."""
    real = [each for each in start.tensors.values() if each.tensor.is_floating_point()]
    double = [each for each in real if each.tensor.dtype == torch.float64]
    if not double or 2 * len(double) > len(real) or start.subject.batch is None:
        return
    batch, module = start.subject.next_batch(), start.built.module
    given = {each.dtype for each in tree_leaves(batch) if isinstance(each, Tensor)}
    with unchanged(module), torch.no_grad():
        loss = start.subject.first_loss(module, cloned(batch))
    if loss.dtype == torch.float64 and torch.float64 not in given:
        yield start.finding(
            "dtype", "warn", double, value=float(len(double)),
            message="It is in float64, the batch and other tensors are not, and the first loss is: "
            "what meets it becomes float64, and takes twice the memory and more time.",
            repair="Make it float32: numpy's numbers are float64 unless they are asked for others.",
        )  # fmt: skip


def _lowered(start: Start) -> Iterator[Finding]:
    """Tensors in low precision whose law, or whose table, is another than if built in float32."""
    low = [
        each for name, each in start.tensors.items()
        if each.tensor.dtype in LOW and name in start.laws and each.tensor.numel()
    ]  # fmt: skip
    if not low:
        return
    try:
        with in_single():
            twin = by_name(start.subject(start.seeds[0], None).module)
    except InspectionError as error:
        start.not_judged.append(NotJudged("dtype", "", f"it cannot be built in float32: {error}"))
        return
    changed: dict[str, list[Named]] = defaultdict(list)
    for each in low:
        other = twin.get(each.name)
        if other is None or other.tensor.shape != each.tensor.shape:
            continue
        if other.tensor.dtype in LOW or not other.tensor.is_floating_point():
            continue
        what = _difference(start, each, other, RATE / len(low))
        if what:
            changed[what].append(each)
    for what, group in changed.items():
        dtype = str(group[0].tensor.dtype).removeprefix("torch.")
        yield start.finding(
            "dtype", "warn", group, value=float(len(group)),
            message=f"Built in {dtype}, {what} if built in float32.",
            repair="Compute it in float32 and round it at the end.",
        )  # fmt: skip


def _difference(start: Start, each: Named, other: Named, alpha: float) -> str:
    """How a tensor differs from its twin in float32; empty if rounding explains it."""
    here, there = start.laws[each.name].moments, moments(other)
    if not math.isfinite(here.low + here.high + there.low + there.high):
        return ""  # check ``outliers`` names it
    if each.name in start.fixed and not start.drawn(each):
        size = max(abs(there.low), abs(there.high))
        apart = float((each.tensor.detach().float() - other.tensor.detach()).abs().max())
        return f"entries differ by up to {apart:.3g} from those" if apart > TABLE * size else ""
    low, high = sorted((here.variance, there.variance))
    if high >= RATIO * low and differ(here, there) < alpha:
        return (
            f"the standard deviation is {here.variance**0.5:.3g} instead of "
            f"{there.variance**0.5:.3g}"
        )
    deviation = there.variance**0.5
    error = math.sqrt((here.variance + there.variance) / here.count)
    apart = abs(here.mean - there.mean)
    if apart > SHIFT * deviation + TABLE * abs(there.mean) and apart > 6 * error:
        return f"the mean is {here.mean:.3g} instead of {there.mean:.3g}"
    return ""
