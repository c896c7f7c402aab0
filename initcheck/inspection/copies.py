"""Checks for copies: equal modules, parameters, slices and rows."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain

from torch import Tensor, nn

from initcheck.inspection.findings import Finding
from initcheck.inspection.first import first_step
from initcheck.inspection.names import listed
from initcheck.inspection.start import RARE, Start, telling
from initcheck.inspection.tensors import (
    Named,
    bits,
    chance,
    constant,
    digest,
    storage,
)


def check_distinct(start: Start) -> Iterator[Finding]:
    """Parameters of one shape that are equal in bits: whole modules first, then tensors."""
    copies = equal_groups(start)
    reached = _reached(start) if copies else None
    for paths in equal_modules(start, copies):
        names = {
            path: [
                each for each in start.tensors.values()
                if each.trainable and each.name.startswith(f"{path}.")
            ]
            for path in paths
        }  # fmt: skip
        yield from _copied_modules(start, names, reached)
        taken = {each.name for several in names.values() for each in several}
        copies = [[each for each in group if each.name not in taken] for group in copies]
    for group in copies:
        if len(group) > 1:
            yield from _copied_parameters(start, group, reached)
    yield from _equal_slices(start)


def _reached(start: Start) -> set[str] | None:
    """Names of the parameters that take part in the loss; None if that is not known."""
    if start.subject.batch is None:
        return None
    try:
        return first_step(start).reached
    except Exception:  # noqa: BLE001 -- user code; the checks that train name the reason
        return None


def _copied_modules(
    start: Start, names: dict[str, list[Named]], reached: set[str] | None
) -> Iterator[Finding]:
    used = {
        path: several for path, several in names.items()
        if reached is None or any(each.name in reached for each in several)
    }  # fmt: skip
    if len(used) > 1:
        yield start.finding(
            "distinct", "warn", [*chain(*used.values())], value=float(len(used)),
            message=f"{len(used)} modules start as copies, equal in bits: {listed(used)}.",
            repair="Build each one separately, or initialize again after copying.",
        )  # fmt: skip
    unused = {path: several for path, several in names.items() if path not in used}
    if unused:
        yield start.finding(
            "distinct", "note", [*chain(*unused.values())], value=float(len(unused)),
            message=f"{len(names)} modules start as copies, equal in bits: {listed(names)}. "
            f"{listed(unused)} took no part in the loss, as an average of weights.",
            repair="Freeze what no optimizer is to move.",
        )  # fmt: skip


def _copied_parameters(
    start: Start, group: list[Named], reached: set[str] | None
) -> Iterator[Finding]:
    used = [each for each in group if reached is None or each.name in reached]
    shape = tuple(group[0].tensor.shape)
    if len(used) > 1:
        yield start.finding(
            "distinct", "warn", used, value=float(len(used)),
            message=f"{len(used)} parameters of shape {shape} are equal in bits and not tied.",
            repair="Draw each one separately.",
        )  # fmt: skip
    unused = [each for each in group if each not in used]
    if unused:
        yield start.finding(
            "distinct", "note", unused, value=float(len(unused)),
            message=f"{len(group)} parameters of shape {shape} are equal in bits and not tied. "
            "These took no part in the loss.",
            repair="Freeze what no optimizer is to move.",
        )  # fmt: skip


def equal_groups(start: Start) -> list[list[Named]]:
    """Trainable parameters that are not constant and equal in bits, in different memory.

    Tables, which no random operation wrote and no seed changes, may be equal.
    """
    by_shape = defaultdict(list)
    for each in start.tensors.values():
        table = each.name in start.fixed and not start.drawn(each)
        if each.trainable and not table and telling(each.tensor):
            by_shape[each.tensor.dtype, each.tensor.shape].append(each)
    groups: dict[bytes, dict[int, Named]] = defaultdict(dict)
    for several in by_shape.values():
        if len(several) > 1:
            for each in several:
                groups[digest(each.tensor)].setdefault(storage(each.tensor), each)
    return [list(group.values()) for group in groups.values() if len(group) > 1]


def equal_modules(start: Start, copies: list[list[Named]]) -> list[list[str]]:
    """Paths of the largest modules all of whose parameters that are not constant are copies."""
    number = {each.name: n for n, group in enumerate(copies) for each in group}
    contents: dict[str, list[tuple[str, int | None]]] = defaultdict(list)
    for each in start.tensors.values():
        if each.trainable and not constant(each.tensor):
            parts = each.name.split(".")
            for cut in range(1, len(parts)):
                path, rest = ".".join(parts[:cut]), ".".join(parts[cut:])
                contents[path].append((rest, number.get(each.name)))
    alike = defaultdict(list)
    for path, inside in contents.items():
        if all(group is not None for _, group in inside):
            alike[tuple(inside)].append(path)
    found = [paths for paths in alike.values() if len(paths) > 1]
    covered = {path for paths in found for path in paths}
    return [
        paths for paths in found
        if not all(any(path.startswith(f"{other}.") for other in covered) for path in paths)
    ]  # fmt: skip


def _equal_slices(start: Start) -> Iterator[Finding]:
    """Experts or heads: slices along the first dimension of a parameter with three dimensions."""
    for each in start.tensors.values():
        if not each.trainable or not _stacked(each):
            continue
        if constant(each.tensor) or constant(each.tensor[0]):
            continue
        count = len(each.tensor) - len({digest(part.contiguous()) for part in each.tensor})
        if count:
            yield start.finding(
                "distinct", "warn", [each], value=float(count),
                message=f"{count + 1} of {len(each.tensor)} slices along the first dimension, such "
                "as experts or heads, are equal in bits.",
                repair="Draw each slice separately.",
            )  # fmt: skip


def _stacked(each: Named) -> bool:
    """Whether a parameter is a stack of matrices, such as experts."""
    convolution = hasattr(each.owner, "kernel_size")
    return each.tensor.dim() == 3 and not convolution and len(each.tensor) > 1


def check_units(start: Start) -> Iterator[Finding]:
    """Equal rows of a weight (units that cannot be told apart), and padding rows overwritten."""
    for each in start.tensors.values():
        if not each.trainable or each.tensor.dim() < 2 or constant(each.tensor):
            continue
        padding = getattr(each.owner, "padding_idx", None)
        embedding = isinstance(each.owner, (nn.Embedding, nn.EmbeddingBag))
        if embedding and padding is not None and bool(each.tensor[padding].any()):
            yield start.finding(
                "units", "warn", [each], value=float(padding),
                message=f"Row {padding}, the padding row, is not zero. It gets no gradient, so it "
                "stays as it is.",
                repair="Zero it after the initialization that overwrote it.",
            )  # fmt: skip
        yield from _equal_rows(start, each)


def _equal_rows(start: Start, each: Named) -> Iterator[Finding]:
    if _stacked(each) or not start.drawn(each):
        return
    rows = each.tensor.detach()
    if getattr(each.owner, "transposed", False):  # (in, out, ...): units are along the second
        rows = rows.movedim(1, 0)
    convolution = hasattr(each.owner, "kernel_size")
    while rows.dim() > 2 and len(rows) == 1 and not convolution:  # (1, tokens, width)
        rows = rows[0]
    rows = rows.flatten(1)
    count, width = rows.shape
    yield from _zero_rows(start, each, rows)
    distinct = _distinct_rows(rows)
    equal = count - len(distinct)
    pairs = 2 * count.bit_length()  # bits: any of so many pairs may be equal by chance
    if not equal or chance(rows[distinct], width) - pairs < RARE:
        return
    shuffled = convolution and _in_squares(distinct, count)
    if shuffled:
        yield start.finding(
            "units", "note", [each], value=float(equal),
            message=f"Each of {len(distinct)} rows is repeated {shuffled} times in a run, as ICNR "
            "does before a pixel shuffle, so that all pixels of a block start equal.",
        )  # fmt: skip
    else:
        yield start.finding(
            "units", "warn", [each], value=float(equal),
            message=f"{equal} of {count} rows repeat another row in bits, so these units start "
            "as copies.",
            repair="Draw each row separately.",
        )  # fmt: skip


def _zero_rows(start: Start, each: Named, rows: Tensor) -> Iterator[Finding]:
    """Rows of zeros among rows of random numbers, but for those that an embedding pads with."""
    if isinstance(each.owner, (nn.Embedding, nn.EmbeddingBag)):
        return
    zero = len(rows) - int(rows.count_nonzero(1).count_nonzero())
    if 0 < zero < len(rows) and chance(rows[rows.any(1)], rows.shape[1]) >= RARE:
        yield start.finding(
            "units", "note", [each], value=float(zero),
            message=f"{zero} of {len(rows)} rows are zero, and the others are random numbers.",
        )  # fmt: skip


def _distinct_rows(rows: Tensor) -> list[int]:
    """The first of each group of equal rows; each row of zeros counts as different."""
    whole = bits(rows).flatten(1).cpu().contiguous().numpy()
    first: dict[bytes | int, int] = {}
    for number, row in enumerate(whole):
        key = hashlib.blake2b(row.data, digest_size=16).digest() if row.any() else number
        first.setdefault(key, number)
    return list(first.values())


def _in_squares(distinct: list[int], count: int) -> int:
    """The length of runs of equal rows, if all have one length that is a square, or 0."""
    length, rest = divmod(count, len(distinct))
    square = length > 1 and math.isqrt(length) ** 2 == length and not rest
    return length if square and distinct == [*range(0, count, length)] else 0
