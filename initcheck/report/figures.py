"""The mechanism pictures of a page: each run's drawing, its text, its table and its claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from initcheck.report import formatting, pictures
from initcheck.results import ORDER, Picture, Run


def figures(runs: Sequence[Run], names: Sequence[str]) -> list[dict[str, Any]]:
    """What the page shows of each picture that any of the runs has, in their common order."""
    by_name: dict[str, list[tuple[str, Picture]]] = {}
    for number, run in enumerate(runs):
        for picture in run.pictures:
            label = names[number] if names else ""
            by_name.setdefault(picture.name, []).append((label, picture))
    return [_figure(of_name, runs) for of_name in by_name.values()]


def _figure(named: Sequence[tuple[str, Picture]], runs: Sequence[Run]) -> dict[str, Any]:
    first = named[0][1]
    counts = Counter(
        result.verdict
        for run in runs for result in run.results if result.mechanism in first.mechanisms
    )  # fmt: skip
    return {
        "name": first.name,
        "title": first.title,
        "verdicts": [(key, counts[key]) for key in ORDER if counts[key]],
        "mechanisms": ", ".join(first.mechanisms),
        "drawings": [_drawing(label, picture, n) for n, (label, picture) in enumerate(named)],
    }


#: What drawing a table raises that some other program wrote, or that was damaged.
UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def _svg(picture: Picture, prefix: str) -> tuple[str, str]:
    """The drawing and its text; without a drawing, the text says why."""
    try:
        return pictures.svg(picture, prefix=prefix), picture.text
    except UNFIT as error:
        why = f"Not drawn: its table does not fit the picture {picture.name} ({error})."
        return "", f"{why} {picture.text}".strip()


def _drawing(label: str, picture: Picture, number: int) -> dict[str, Any]:
    where = [label, picture.device if label or picture.device != "cpu" else ""]
    svg, text = _svg(picture, f"run{number}-" if number else "")
    units = [*picture.units, *[""] * len(picture.columns)]
    return {
        "label": " · ".join(filter(None, where)),
        "svg": svg,
        "text": text,
        "head": [
            f"{name} ({unit})" if unit else name
            for name, unit in zip(picture.columns, units, strict=False)
        ],
        "rows": [[_cell(value) for value in row] for row in picture.rows],
    }


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else formatting.number(value, 4)
