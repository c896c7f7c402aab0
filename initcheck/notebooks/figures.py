"""Recorded figures and our runs, and how the files of both are read and written."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from initcheck.files import write_atomic

COLUMNS = ("notebook", "configuration", "metric", "epoch", "value", "note")


@dataclass
class Figures:
    """Curves by metric: ``{metric: {epoch: value}}``; epoch 0 is before training."""

    curves: dict[str, dict[int, float]] = field(default_factory=dict)

    def add(self, epoch: int, **values: float) -> None:
        """Add one value to each of these curves."""
        for metric, value in values.items():
            self.curves.setdefault(metric, {})[epoch] = float(value)

    def curve(self, metric: str) -> dict[int, float]:
        """Values by epoch, empty for a metric that was not measured."""
        return self.curves.get(metric, {})


@dataclass(frozen=True)
class Recorded:
    """One row of recorded.csv: a figure that a notebook or a paper reports.

    Attributes:
        value: None if the row states that nothing was recorded.
        resolution: half a unit of the last digit, or the number after ``+-`` in the note.
    """

    notebook: str
    configuration: str
    metric: str
    epoch: int
    value: float | None
    note: str
    resolution: float = 0.0


def read_recorded(path: Path) -> list[Recorded]:
    """All recorded figures.

    Raises:
        ValueError: the columns differ, or an epoch or value is not a number.
    """
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path} must have the columns {', '.join(COLUMNS)}")
        return [_recorded(path, number, row) for number, row in enumerate(rows, start=2)]


def _recorded(path: Path, number: int, row: dict[str, str]) -> Recorded:
    try:
        value = float(row["value"]) if row["value"] else None
        epoch = int(row["epoch"] or 0)
    except (ValueError, TypeError):
        raise ValueError(f"{path}, line {number}: epoch or value is not a number") from None
    names = (row["notebook"], row["configuration"], row["metric"])
    return Recorded(*names, epoch, value, row["note"], _resolution(row["value"], row["note"]))


def _resolution(text: str, note: str) -> float:
    stated = re.search(r"\+-(0?\.\d+)", note)
    if stated:
        return float(stated[1])
    digits, _, exponent = text.lower().partition("e")
    decimals = len(digits.partition(".")[2])
    return float(0.5 * 10.0 ** (int(exponent or 0) - decimals))


@dataclass(frozen=True)
class Run:
    """One configuration with one seed, as stored in ``baselines/reproduced/``.

    Attributes:
        epochs: number of epochs trained, at most those of the protocol.
    """

    configuration: str
    seed: int
    epochs: int
    protocol: str
    data: str
    fingerprint: str
    torch: str
    seconds: float
    figures: Figures


def run_path(folder: Path, configuration: str, seed: int) -> Path:
    """The path of a run's file."""
    return folder / f"{configuration}.seed-{seed}.json"


def write_run(folder: Path, run: Run) -> Path:
    """Write a run's file, whole or not at all, and return its path."""
    path = run_path(folder, run.configuration, run.seed)
    content: dict[str, Any] = {"schema": 1} | vars(run)
    content["figures"] = {
        metric: {str(epoch): value for epoch, value in curve.items()}
        for metric, curve in run.figures.curves.items()
    }
    write_atomic(path, json.dumps(content, indent=1, allow_nan=True) + "\n")
    return path


def read_run(path: Path) -> Run:
    """A stored run.

    Raises:
        ValueError: the file is not a stored run; the message names it.
    """
    try:
        return _decoded(json.loads(path.read_text(encoding="utf-8")))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a stored run ({error}). Delete it and run its configuration again."
        ) from None


def _decoded(content: dict[str, Any]) -> Run:
    if content.pop("schema") != 1:
        raise ValueError("its schema is not 1")
    curves = {
        metric: {int(epoch): float(value) for epoch, value in curve.items()}
        for metric, curve in content.pop("figures").items()
    }
    return Run(**content, figures=Figures(curves))


def read_runs(folder: Path) -> list[Run]:
    """Every stored run, by configuration and seed."""
    runs = [read_run(path) for path in folder.glob("*.json")]
    return sorted(runs, key=lambda run: (run.configuration, run.seed))


def by_configuration(runs: Sequence[Run]) -> Mapping[str, list[Run]]:
    """The runs of each configuration."""
    grouped: dict[str, list[Run]] = {}
    for run in runs:
        grouped.setdefault(run.configuration, []).append(run)
    return grouped
