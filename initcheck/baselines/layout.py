"""How evidence is laid out as text: one key or row of numbers per line, so that changes show."""

from __future__ import annotations

import json
from typing import Any

COLUMNS = 100  # a row of numbers that is longer gets a line per number


def text(value: Any, depth: int = 0) -> str:
    """The value as JSON with sorted keys, indented by one space per level.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    if not isinstance(value, dict | list) or not value:
        return json.dumps(value, allow_nan=False)
    if isinstance(value, dict):
        opening, closing = "{}"
        parts = [f"{json.dumps(key)}: {text(value[key], depth + 1)}" for key in sorted(value)]
    else:
        row = _row(value)
        if row and depth + len(row) <= COLUMNS:
            return row
        opening, closing = "[]"
        parts = [text(item, depth + 1) for item in value]
    indented = ",\n".join(f"{' ' * (depth + 1)}{part}" for part in parts)
    return f"{opening}\n{indented}\n{' ' * depth}{closing}"


def _row(values: list[Any]) -> str:
    """The list on one line, or an empty text if it holds anything but numbers."""
    return json.dumps(values, allow_nan=False) if {*map(type, values)} <= {int, float} else ""
