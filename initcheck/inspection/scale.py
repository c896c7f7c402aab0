"""A check of the scale of weights: the law of each, fans that torch miscounts, and siblings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from initcheck.inspection import siblings
from initcheck.inspection.fans import fans, moments, stored_fans
from initcheck.inspection.findings import Finding
from initcheck.inspection.laws import LAWS, OF_FAN_OUT, Measured, Moments, fitting
from initcheck.inspection.memory import Write
from initcheck.inspection.start import Start
from initcheck.inspection.tensors import Named, constant

#: The probability that a module whose weights follow laws of the table is judged otherwise.
RATE = 1e-4
ROWS = 64  # of a matrix that are compared to see whether they are orthogonal
ORTHOGONAL = 1e-3  # largest cosine of two rows that are; for random rows it is 1 / sqrt(width)
#: Linear layers with these names hold several matrices in one.
PACKED = frozenset(
    {"qkv", "qkv_proj", "to_qkv", "c_attn", "in_proj", "query_key_value", "wqkv", "kv", "to_kv"}
)


def check_scale(start: Start) -> Iterator[Finding]:
    """Name the law of each weight; find fans that are miscounted and siblings that differ."""
    _measure(start)
    yield from _without_groups(start)
    yield from _swapped(start)
    yield from _packed(start)
    yield from siblings.differing(start, alpha=RATE)


# --- laws -----------------------------------------------------------------------------------------


def _measure(start: Start) -> None:
    """Fill ``start.laws``. Of several laws that fit, the one that fits most weights is named."""
    weights: dict[str, tuple[Named, Moments, tuple[float, float], tuple[str, ...]]] = {}
    real = {
        name: each for name, each in start.tensors.items()
        if each.tensor.is_floating_point() and each.tensor.numel()
    }  # fmt: skip
    alpha = RATE / max(len(real), 1) / len(LAWS)
    for name, each in real.items():
        measured = moments(each)
        random = name not in start.fixed and measured.variance > 0
        if each.tensor.dim() < 2 or not each.parameter:
            start.laws[name] = Measured(measured, _held(each, measured, random=random))
            continue
        square = measured.variance + measured.mean**2
        both = fans(each, square)
        fit = fitting(measured, *both, alpha=alpha) if random else ()
        if both[0] == 1:  # an embedding, where laws of fan-in are constants
            fit = tuple(law for law in fit if law.startswith("N(")) or fit
        weights[name] = (each, measured, both, fit)
    votes = Counter(law for *_, fit in weights.values() for law in fit)
    for name, (each, measured, both, fit) in weights.items():
        gain = (measured.variance + measured.mean**2) * both[0]
        if _orthogonal(each.tensor):
            law = "orthogonal"
        elif fit:
            law = max(fit, key=votes.__getitem__)
        elif name not in start.fixed and measured.variance:
            law = f"{gain:.2g} / fan-in"
        else:
            law = _held(each, measured, random=False)
        start.laws[name] = Measured(measured, law, gain, *both)


def _held(each: Named, measured: Moments, *, random: bool) -> str:
    if constant(each.tensor) or measured.low == measured.high:
        return "zero" if not measured.mean else f"constant {measured.mean:.4g}"
    return "random" if random else "table"


@torch.no_grad()
def _orthogonal(tensor: Tensor) -> bool:
    """Whether the rows or columns, whichever are fewer, are orthogonal and of equal length."""
    matrix = tensor.detach().flatten(1)
    if min(matrix.shape) < 2:
        return False
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    some = matrix[:ROWS].float()
    products = some @ some.T
    lengths = products.diagonal()
    mean = float(lengths.mean())
    if not mean or not math.isfinite(mean):
        return False
    difference = products - mean * torch.eye(len(some), device=some.device)
    room = 30 * ORTHOGONAL if tensor.element_size() < 4 else ORTHOGONAL
    return float(difference.abs().max()) <= room * mean


# --- fans that are miscounted ---------------------------------------------------------------------


def _last(start: Start, each: Named) -> Write | None:
    """The last operation that changed a tensor, if it was one of torch.nn.init that counts fans."""
    writes = start.writes(each)
    return writes[-1] if writes and writes[-1].rule and writes[-1].whole else None


def _convolutions(start: Start, *, transposed: bool) -> Iterator[Named]:
    for each in start.tensors.values():
        owner = each.owner
        if (
            isinstance(owner, nn.modules.conv._ConvNd)  # noqa: SLF001 -- the base of all
            and owner.transposed == transposed
            and each.tensor.dim() > 2
            and each.name in start.laws
            and each.name not in start.fixed
        ):
            yield each


def _without_groups(start: Start) -> Iterator[Finding]:
    """Grouped convolutions whose fan-out was counted as if every unit saw every channel."""
    wrong = [
        each for each in _convolutions(start, transposed=False)
        if each.owner.groups > 1  # type: ignore[operator]
    ]  # fmt: skip
    certain = [
        each for each in wrong
        if (last := _last(start, each)) and last.explicit and last.mode in {"fan_out", "both"}
    ]  # fmt: skip
    names = {each.name for each in certain}
    guessed = _by_variance(start, [each for each in wrong if each.name not in names])
    for severity, group in _by_norm(start, certain + guessed):
        groups = max(getattr(each.owner, "groups", 1) for each in group)
        yield start.finding(
            "scale", severity, group, value=float(groups),
            message="Their variance follows a fan-out that ignores the groups of the convolution: "
            f"up to {groups} times too large, so the weights are too small by up to "
            f"{math.sqrt(groups):.3g}.{_NORMED if severity == 'note' else ''}",
            repair="Divide fan-out by groups, as for a normal law with variance "
            "2 * groups / (out_channels * kernel size); or use fan-in.",
        )  # fmt: skip


def _by_variance(start: Start, tensors: list[Named]) -> list[Named]:
    """All of them, if they follow one law of the stored fan-out, with two different fans or more.

    One tensor may follow it by chance, if its law is another with a factor.
    """
    found: dict[str, list[Named]] = {}
    alpha = RATE / max(len(tensors), 1) / len(LAWS)
    for each in tensors:
        measured = start.laws[each.name]
        stored = fitting(measured.moments, *stored_fans(each.tensor), alpha=alpha)
        right = fitting(measured.moments, measured.fan_in, measured.fan_out, alpha=alpha)
        if not right and measured.law != "orthogonal":
            for law in OF_FAN_OUT.intersection(stored):
                found.setdefault(law, []).append(each)
    several = [
        group for group in found.values()
        if len(group) == len(tensors)
        and len({stored_fans(each.tensor)[1] for each in group}) > 1
    ]  # fmt: skip
    return max(several, key=len, default=[])


_NORMED = " A normalization follows, which undoes it."


def _by_norm(start: Start, tensors: list[Named]) -> Iterator[tuple[str, list[Named]]]:
    """Those before a normalization, as notes, and the others, as warnings."""
    normed = [each for each in tensors if _norm_follows(start, each)]
    rest = [each for each in tensors if each not in normed]
    for severity, group in (("warn", rest), ("note", normed)):
        if group:
            yield severity, group


def _norm_follows(start: Start, each: Named) -> bool:
    """Whether the next part of the same module is a normalization, which undoes any scale."""
    path, _, name = each.path.rpartition(".")
    children = list(
        dict(start.built.module.named_modules(remove_duplicate=False))[path].named_children()
    )
    names = [child for child, _ in children]
    if name not in names:
        return False
    rest = children[names.index(name) + 1 :]
    return bool(rest) and "Norm" in type(rest[0][1]).__name__


def _swapped(start: Start) -> Iterator[Finding]:
    """Transposed convolutions whose fans torch.nn.init counted from the wrong dimensions.

    Their weight is stored as (in, out / groups, ...), which torch.nn.init does not know. A user
    who writes ``fan_out`` for these alone may know it.
    """
    generic = {
        last.line for each in start.tensors.values()
        if not getattr(each.owner, "transposed", False) and (last := _last(start, each))
    }  # fmt: skip
    wrong = []
    for each in _convolutions(start, transposed=True):
        last = _last(start, each)
        differ = each.owner.in_channels != each.owner.out_channels
        modes = {"fan_in", "fan_out"} if last and last.line in generic else {"fan_in"}
        if last and last.explicit and differ and last.mode in modes:
            wrong.append(each)
    for severity, group in _by_norm(start, wrong):
        owner = group[0].owner
        ratio = getattr(owner, "in_channels", 1) / getattr(owner, "out_channels", 1)
        yield start.finding(
            "scale", severity, group, value=ratio,
            message=f"torch.nn.init.{_last(start, group[0]).rule} takes fan-in for fan-out here: "  # type: ignore[union-attr]
            "the weight of a transposed convolution is stored as (in, out, ...). The fans differ "
            f"by the factor {ratio:.3g}.{_NORMED if severity == 'note' else ''}",
            repair="Give the other mode for transposed convolutions.",
        )  # fmt: skip


def _packed(start: Start) -> Iterator[Finding]:
    """Several matrices in one tensor, with Glorot's fan-out of all of them together."""
    found = []
    for each in start.tensors.values():
        last = _last(start, each)
        if last is None or not last.rule.startswith("xavier"):
            continue
        name = each.path.rpartition(".")[2].lower()
        if (
            (isinstance(each.owner, nn.MultiheadAttention) and each.attribute == "in_proj_weight")
            or isinstance(each.owner, nn.RNNBase | nn.RNNCellBase)
            or (name in PACKED and each.tensor.shape[0] > each.tensor.shape[1])
        ):
            found.append(each)
    if found:
        rows, width = found[0].tensor.shape[:2]
        yield start.finding(
            "scale", "note", found, value=rows / width,
            message=f"Glorot's law was given the shape ({rows}, {width}) of several matrices in "
            "one tensor, so its fan-out is that of all of them: each starts smaller than alone.",
            repair="Initialize each matrix separately, if that is not meant.",
        )  # fmt: skip
