"""The mechanism pictures of a page: each run's drawing, its text, its table and its claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from initcheck.report import formatting, pictures
from initcheck.report.panels import UnfitError
from initcheck.results import ORDER, Picture, Run


def figures(runs: Sequence[Run], labels: Sequence[str]) -> list[dict[str, Any]]:
    """What the page shows of each picture that any of the runs has, in their common order.

    Runs whose tables are equal share a drawing.

    Args:
        runs: of the page.
        labels: what runs are called; empty for one run.
    """
    by_name: dict[str, list[tuple[list[str], Picture]]] = {}
    for number, run in enumerate(runs):
        for picture in run.pictures:
            seen = by_name.setdefault(picture.name, [])
            label = labels[number] if labels else ""
            same = next((names for names, other in seen if _equal(picture, other)), None)
            if same is None:
                seen.append(([label], picture))
            else:
                same.append(label)
    return [
        _figure([("; ".join(names), picture) for names, picture in seen], runs)
        | {"lacking": [
            label for label, run in zip(labels, runs, strict=False)
            if name not in {picture.name for picture in run.pictures}
        ]}
        for name, seen in by_name.items()
    ]  # fmt: skip


def _equal(one: Picture, other: Picture) -> bool:
    return (one.device, one.text, repr(one.rows)) == (other.device, other.text, repr(other.rows))


def _figure(named: Sequence[tuple[str, Picture]], runs: Sequence[Run]) -> dict[str, Any]:
    first = named[0][1]
    counts = Counter(
        result.verdict
        for run in runs for result in run.results if result.mechanism in first.mechanisms
    )  # fmt: skip
    return {
        "name": first.name,
        "several": len(named) > 1,
        "title": first.title,
        "verdicts": [(key, counts[key]) for key in ORDER if counts[key]],
        "unlike": bool(counts["refuted"] or counts["invalid"]),
        "mechanisms": ", ".join(first.mechanisms),
        "drawings": [_drawing(label, picture, n) for n, (label, picture) in enumerate(named)],
    }


def _svg(picture: Picture, prefix: str) -> tuple[str, str]:
    """The drawing and its text; without a drawing, the text says why."""
    try:
        return pictures.svg(picture, prefix=prefix), picture.text
    except UnfitError as error:
        return "", f"Not drawn: {error} {picture.text}".strip()


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
