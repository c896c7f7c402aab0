"""Figures: what was recorded, what we got, and how the files of both are read and written."""

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
        value: None for a row that says that nothing was recorded.
        resolution: half a unit of the last digit, or what the note says after ``+-``.
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
        ValueError: other columns, or a row whose epoch or value is no number.
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
        raise ValueError(f"{path}, line {number}: epoch or value is no number") from None
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
    """One configuration with one seed, as its file under ``baselines/reproduced/`` has it.

    Attributes:
        epochs: how many were trained: all of the protocol's, or its first ones.
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
    """Where a run's file lies."""
    return folder / f"{configuration}.seed-{seed}.json"


def write_run(folder: Path, run: Run) -> Path:
    """Store a run; interrupted, there is no file rather than half of one."""
    path = run_path(folder, run.configuration, run.seed)
    whole: dict[str, Any] = {"schema": 1} | vars(run)
    whole["figures"] = {
        metric: {str(epoch): value for epoch, value in curve.items()}
        for metric, curve in run.figures.curves.items()
    }
    write_atomic(path, json.dumps(whole, indent=1, allow_nan=True) + "\n")
    return path


def read_run(path: Path) -> Run:
    """A stored run.

    Raises:
        ValueError: a file that is no such run.
    """
    try:
        return _decoded(json.loads(path.read_text(encoding="utf-8")))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{path} is no reproduced run ({error}); delete it and run it again"
        ) from None


def _decoded(whole: dict[str, Any]) -> Run:
    if whole.pop("schema") != 1:
        raise ValueError("its schema is another")
    curves = {
        metric: {int(epoch): float(value) for epoch, value in curve.items()}
        for metric, curve in whole.pop("figures").items()
    }
    return Run(**whole, figures=Figures(curves))


def read_runs(folder: Path) -> list[Run]:
    """Every stored run, by configuration and seed."""
    runs = [read_run(path) for path in folder.glob("*.json")]
    return sorted(runs, key=lambda run: (run.configuration, run.seed))


def by_configuration(runs: Sequence[Run]) -> Mapping[str, list[Run]]:
    """The runs of each configuration."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(run.configuration, []).append(run)
    return found
