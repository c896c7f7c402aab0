"""Weights of one role in several blocks, whose variances should agree or follow the depth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from torch import nn

from initcheck.inspection.fans import moments
from initcheck.inspection.findings import Finding
from initcheck.inspection.laws import LAWS, Moments, differ
from initcheck.inspection.start import Start, by_name
from initcheck.inspection.tensors import Named

#: Variances that differ by less do not matter: a gain that is off by a quarter.
RATIO = 1.5
#: Laws that a user chose by name.
NAMED = frozenset({*LAWS, "orthogonal"})


def differing(start: Start, *, alpha: float) -> Iterator[Finding]:
    """Siblings whose variance goes up and down with the depth, under both seeds.

    A variance that only falls or only rises with the depth is meant, as 1 / depth is.

    Args:
        start: with the laws of its tensors.
        alpha: the probability of a finding under one seed if all siblings have one variance.
    """
    groups = list(_groups(start))
    pairs = sum(len(group) * (len(group) - 1) // 2 for group in groups)
    level = alpha / max(pairs, 1)
    other: dict[str, Named] | None = None
    told: set[str] = set()
    for group in groups:
        first = [start.laws[each.name].moments for each in group]
        if len(group) < 3 or not _uneven(first, level):
            continue
        if other is None:
            other = by_name(start.subject(start.seeds[1], None).module)
        again = [other.get(each.name) for each in group]
        second = [moments(each) for each in again if each is not None]
        odd = _odd(first, level)
        if len(second) < len(group) or not _uneven(second, level) or odd != _odd(second, level):
            continue
        members = [group[n] for n in odd if group[n].name not in told]
        if not members or _alternate([start.laws[each.name].law for each in group]):
            continue
        told.update(each.name for each in group)
        ratio = max(each.variance for each in first) / min(each.variance for each in first)
        yield start.finding(
            "scale", "warn", members, value=ratio,
            message=f"{_unlike(len(group) - len(odd))} follows no order of depth: it differs by a "
            f"factor of {ratio:.3g}.",
            repair="See whether a rule matched some blocks only.",
        )  # fmt: skip


def _unlike(rest: int) -> str:
    """The beginning of a sentence about weights that differ from so many others, or all do."""
    if not rest:
        return "Their variance is not the same in these blocks, and"
    blocks = "block" if rest == 1 else f"{rest} blocks"
    return f"Their variance is not that of the same weight in the other {blocks}, and"


def _alternate(laws: list[str]) -> bool:
    """Whether every second block follows one law of the table, and the others another one.

    It takes two blocks of each: one that is different may be a mistake.
    """
    pair = {*laws[:2]}
    return (
        len(laws) > 3 and len(pair) == 2 and pair <= NAMED
        and all(law == laws[n % 2] for n, law in enumerate(laws))
    )  # fmt: skip


def _groups(start: Start) -> Iterator[list[Named]]:
    """Weights of one class, shape and name but for one number, in the order of that number."""
    found = defaultdict(list)
    modules = dict(start.built.module.named_modules(remove_duplicate=False))
    for each in start.tensors.values():
        law = start.laws.get(each.name)
        if law is None or law.gain is None or not law.moments.variance:
            continue
        if each.name in start.fixed:
            continue
        parts = each.path.split(".")
        for place, part in enumerate(parts):
            container, element = ".".join(parts[:place]), ".".join(parts[: place + 1])
            if part.isdecimal() and _is_block(modules, container, element, each.owner):
                block = modules[element]
                rest = ".".join(parts[place + 1 :])
                shape = tuple(each.tensor.shape)
                key = (container, rest, each.attribute, shape, type(each.owner), type(block))
                found[key].append((int(part), each))
    for members in found.values():
        if len(members) > 1:
            yield [each for _, each in sorted(members, key=lambda pair: pair[0])]


def _is_block(
    modules: dict[str, nn.Module], container: str, element: str, owner: nn.Module
) -> bool:
    """Whether a numbered part is one of several blocks, and not one of several roles.

    The layers of a sequence have roles: the last may start smaller than the others.
    """
    parts = [*modules[container].children()]
    if modules[element] is owner:
        return isinstance(modules[container], nn.ModuleList) and (
            len({type(each) for each in parts}) == 1
        )
    return True


def _uneven(several: list[Moments], level: float) -> bool:
    """Whether variances rise somewhere and fall elsewhere, both beyond chance."""
    largest = max(each.variance for each in several)
    if largest < RATIO * min(each.variance for each in several):
        return False
    signs = {
        later.variance > earlier.variance
        for n, earlier in enumerate(several) for later in several[n + 1 :]
        if _apart(earlier, later, level)
    }  # fmt: skip
    return len(signs) == 2


def _apart(first: Moments, second: Moments, level: float) -> bool:
    low, high = sorted((first.variance, second.variance))
    return high >= RATIO * low and differ(first, second) < level


def _odd(several: list[Moments], level: float) -> list[int]:
    """Which differ from the median, or all if those are not the fewer."""
    middle = sorted(several, key=lambda each: each.variance)[len(several) // 2]
    odd = [n for n, each in enumerate(several) if _apart(middle, each, level)]
    return odd if 0 < len(odd) <= len(several) // 2 else [*range(len(several))]
