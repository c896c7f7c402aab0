"""Checks of training loops as one HTML page: r over steps and tensors. It needs no network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from initcheck.files.templates import html_template

#: Of the map, in its own units: the height of a row, the width of a column, the room for the steps.
ROW, COLUMN, HEAD = 18, 54, 26
_LONGEST_NAME = 44
_LETTER = 7.3  # width of a letter of a name
_MOST_ROWS = 300


def page(reports: Sequence[Mapping[str, Any]]) -> str:
    """One page about reports, as ``Report.as_json`` gives them; those that are not green first."""
    ordered = sorted(reports, key=lambda each: each["verdict"] == "unchanged")
    template = html_template("trajectory", "trajectory.html.j2", shown=shown)
    return template.render(
        reports=[{"report": each, "map": _map(each)} for each in ordered],
        title=ordered[0]["name"] if len(ordered) == 1 else f"{len(ordered)} training loops",
        sizes={"row": ROW, "column": COLUMN, "head": HEAD},
    )


def shown(r: float | None) -> str:
    """An r with three digits, small ones with fewer; infinity for what JSON has as null."""
    if r is None:
        return "∞"
    if 0 < r < 0.01:
        return "<0.01"
    return f"{r:.3g}".replace("e+0", "e").replace("e+", "e")


def _map(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Rows and columns of the map, the loss first; None if nothing was judged."""
    if not report["tensors"]:
        return None
    left = set(report["not_judged"])
    rows = [("loss", report["losses"] or [], False)]
    rows += [(name, r, name in left) for name, r in report["tensors"].items()]
    kept = _kept(rows)
    longest = max(min(len(name), _LONGEST_NAME) for name, _, _ in kept)
    names = round(longest * _LETTER) + 16
    return {
        "names": names,
        "steps": report["steps"],
        "rows": [
            {
                "name": name if len(name) <= _LONGEST_NAME else "…" + name[1 - _LONGEST_NAME :],
                "full": name,
                "not_judged": unjudged,
                "cells": [
                    {"r": r, "level": _level(r, report["allowed"])}
                    for r in ([] if unjudged else values)
                ],
            }
            for name, values, unjudged in kept
        ],
        "left_out": len(rows) - len(kept),
        "width": names + COLUMN * len(report["steps"]),
        "height": HEAD + ROW * len(kept),
    }


def _kept(rows: list[tuple[str, list[float | None], bool]]) -> list[tuple[str, Any, bool]]:
    """All rows, or if there are too many, those with the largest r, in their order."""
    if len(rows) <= _MOST_ROWS:
        return rows
    largest = sorted(rows[1:], key=lambda row: -max(_size(r) for r in row[1]))[: _MOST_ROWS - 1]
    names = {name for name, _, _ in largest}
    return [row for number, row in enumerate(rows) if not number or row[0] in names]


def _size(r: float | None) -> float:
    return math.inf if r is None else r


def _level(r: float | None, allowed: float) -> str:
    """The class of a cell: within a tenth of what is allowed, within it, or decades outside."""
    if r is None:
        return "out3"
    if r <= allowed:
        return "calm" if r <= allowed / 10 else "near"
    return f"out{min(3, 1 + int(math.log10(r / allowed)))}"
