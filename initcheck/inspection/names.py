"""Parameter names, shortened: those that differ in their numbers alone are one group."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

#: Characters of parameter names on the line of a finding.
_SHOWN = 72


def grouped(names: Iterable[str]) -> list[str]:
    """Names that differ in their numbers alone as one: ``blocks.0-11.mlp.weight``.

    A group stands for every combination of its numbers; other names stay as they are.
    """
    return [name for name, _ in _counted(names)]


def listed(names: Iterable[str]) -> str:
    """All groups of names, for a sentence."""
    return ", ".join(grouped(names))


def few(names: Iterable[str]) -> str:
    """The first groups of names that fit on a line, and the number of the other names."""
    groups = _counted(names)
    shown = ""
    for place, (group, _) in enumerate(groups):
        longer = f"{shown}, {group}" if shown else group
        if shown and len(longer) > _SHOWN:
            return f"{shown} and {sum(count for _, count in groups[place:])} more"
        shown = longer
    return shown


def _counted(names: Iterable[str]) -> list[tuple[str, int]]:
    """The groups, each with the number of names that it stands for."""
    by_pattern: dict[tuple[str, ...], list[tuple[int, ...]]] = {}
    for name in dict.fromkeys(names):
        parts = [part for part in re.split(r"((?<![A-Za-z\d])\d+(?=[._]|$))", name) if part]
        pattern = tuple("#" if part.isdecimal() else part for part in parts)
        by_pattern.setdefault(pattern, []).append(tuple(int(p) for p in parts if p.isdecimal()))
    return [group for pattern, found in by_pattern.items() for group in _grouped(pattern, found)]


def _grouped(pattern: tuple[str, ...], found: Sequence[tuple[int, ...]]) -> list[tuple[str, int]]:
    """As few groups as this finds, each of which stands for every combination of its numbers."""
    columns = [sorted(set(column)) for column in zip(*found, strict=True)]
    if math.prod(map(len, columns)) == len(found):
        return [(_filled(pattern, [_ranges(column) for column in columns]), len(found))]
    splits = [split for place in range(len(columns)) if len(split := _alike(found, place)) > 1]
    if not splits:
        return [(_filled(pattern, [*map(str, numbers)]), 1) for numbers in found]
    return [group for part in min(splits, key=len) for group in _grouped(pattern, part)]


def _alike(found: Sequence[tuple[int, ...]], place: int) -> list[list[tuple[int, ...]]]:
    """The numbers, apart where one at this place occurs with other numbers at the other places."""
    rests: dict[int, set[tuple[int, ...]]] = {}
    for numbers in found:
        rest = numbers[:place] + numbers[place + 1 :]
        rests.setdefault(numbers[place], set()).add(rest)
    parts: dict[frozenset[tuple[int, ...]], list[tuple[int, ...]]] = {}
    for numbers in found:
        parts.setdefault(frozenset(rests[numbers[place]]), []).append(numbers)
    return [*parts.values()]


def _filled(pattern: tuple[str, ...], numbers: Sequence[str]) -> str:
    rest = iter(numbers)
    return "".join(next(rest) if part == "#" else part for part in pattern)


def _ranges(numbers: Sequence[int]) -> str:
    """``0-2,5`` for 0, 1, 2 and 5."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
