"""Texts such as ``SGD (lr 0.1)``: in which options they differ, and several of them as one."""

from __future__ import annotations

import re
from collections.abc import Sequence


def other_options(first: str, second: str) -> str:
    """The options of the second text that the first one, of the same name, has otherwise.

    Empty if they have other names, or other numbers of options.
    """
    (name, options), (other_name, others) = _options(first), _options(second)
    if name != other_name or len(options) != len(others):
        return ""
    return ", ".join(other for one, other in zip(options, others, strict=True) if one != other)


def _options(text: str) -> tuple[str, list[str]]:
    """``SGD (lr 0.1, momentum 0.9)`` as ``SGD (`` and the list of its options."""
    match = re.fullmatch(r"([^()]+\()([^()]+)\)", text)
    return (match[1], match[2].split(", ")) if match else (text, [])


def with_alternatives(values: Sequence[str]) -> list[str]:
    """The values, with those merged that differ in one option only.

    ``SGD (lr 0.1)`` and ``SGD (lr 0.2)`` become ``SGD (lr 0.1 or lr 0.2)``.
    """
    merged: list[str] = []
    for value in values:
        name, options = _options(value)
        before, earlier = _options(merged[-1]) if merged else ("", [])
        differing = [
            n for n, pair in enumerate(zip(earlier, options, strict=False)) if len({*pair}) > 1
        ]
        if name == before and len(options) == len(earlier) and len(differing) == 1:
            (place,) = differing
            earlier[place] += f" or {options[place]}"
            merged[-1] = f"{name}{', '.join(earlier)})"
        else:
            merged.append(value)
    return merged
