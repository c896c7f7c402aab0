"""Compares recorded figures with ours, and reads the reasons why some deviate.

A recorded figure is treated as one more draw of our runs: it deviates if it is outside the interval
that would hold a further draw. People write the reasons into ``reasons.toml``.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from initcheck.notebooks.figures import Recorded, Run
from initcheck.notebooks.protocols import Configuration

VERDICTS = ("as recorded", "deviates", "not judged", "not reached", "not measured")
CONFIDENCE = 0.99  # one figure in a hundred deviates by chance
LEAST_FREEDOM = 2  # with one degree of freedom, Student's interval holds almost anything
Key = tuple[str, str, int]  # group, metric, epoch


@dataclass(frozen=True)
class Comparison:
    """One recorded figure and ours.

    Attributes:
        ours: one value per seed; empty if the metric was not measured at this epoch.
        allowed: the interval of a further draw, or None if the spread of our seeds is not known.
        reached: whether our runs have the figure, or trained for as many epochs.
    """

    configuration: str
    recorded: Recorded
    data: str
    ours: tuple[float, ...]
    allowed: tuple[float, float] | None
    reached: bool = True

    @property
    def mean(self) -> float:
        """The mean of our seeds."""
        return float(np.mean(self.ours))

    @property
    def deviation(self) -> float:
        """Our mean minus the recorded figure."""
        return self.mean - (self.recorded.value or 0.0)

    @property
    def verdict(self) -> str:
        """One of ``VERDICTS``."""
        if not self.ours:
            return "not measured" if self.reached else "not reached"
        if abs(self.deviation) <= self.recorded.resolution:
            return "as recorded"
        if self.allowed is None:
            return "not judged"
        low, high = self.allowed
        value = self.recorded.value or 0.0
        inside = low - self.recorded.resolution <= value <= high + self.recorded.resolution
        return "as recorded" if inside else "deviates"


def compare(
    recorded: Sequence[Recorded],
    runs: Mapping[str, Sequence[Run]],
    configurations: Sequence[Configuration],
) -> list[Comparison]:
    """One comparison per recorded figure and configuration that was run to reproduce it."""
    spreads = _spreads(runs, configurations)
    return [
        _comparison(configuration, row, runs[configuration.name], spreads)
        for configuration in configurations
        if runs.get(configuration.name)
        for name in configuration.compared
        for row in recorded
        if row.configuration == name and row.value is not None
    ]


def _comparison(
    configuration: Configuration,
    row: Recorded,
    runs: Sequence[Run],
    spreads: Mapping[Key, tuple[float, int]],
) -> Comparison:
    curves = [run.figures.curve(row.metric) for run in runs]
    ours = tuple(curve[row.epoch] for curve in curves if row.epoch in curve)
    spread = spreads.get((_group(configuration), row.metric, row.epoch))
    allowed = _allowed(ours, row.metric, *spread) if ours and spread else None
    # A curve over single steps has more points than the run has epochs.
    reached = bool(ours) or row.epoch <= max(run.epochs for run in runs)
    return Comparison(configuration.name, row, runs[0].data, ours, allowed, reached)


# --- the interval of a further draw ---------------------------------------------------------------


def _group(configuration: Configuration) -> str:
    """The configurations of one notebook and optimizer, which share their spread between seeds."""
    protocol = configuration.protocol
    lr = getattr(protocol, "lr", "")
    return f"{configuration.notebook} {protocol.optimizer} {lr}"


def _spreads(
    runs: Mapping[str, Sequence[Run]], configurations: Sequence[Configuration]
) -> dict[Key, tuple[float, int]]:
    """Standard deviation between seeds, pooled over each group, and its degrees of freedom."""
    squares: dict[Key, list[tuple[float, int]]] = {}
    for configuration in configurations:
        of_name = runs.get(configuration.name, ())
        if len(of_name) < 2:
            continue
        for metric, curve in of_name[0].figures.curves.items():
            for epoch in curve:
                curves = [run.figures.curve(metric) for run in of_name]
                y = _transformed([c[epoch] for c in curves if epoch in c], metric)
                key = (_group(configuration), metric, epoch)
                squares.setdefault(key, []).append((float(((y - y.mean()) ** 2).sum()), len(y) - 1))
    pooled = {key: (sum(s for s, _ in p), sum(n for _, n in p)) for key, p in squares.items()}
    return {key: (math.sqrt(s / n), n) for key, (s, n) in pooled.items() if n >= LEAST_FREEDOM}


def _allowed(
    ours: Sequence[float], metric: str, spread: float, freedom: int
) -> tuple[float, float]:
    """Student's interval for one further draw, computed on the transformed scale."""
    y = _transformed(ours, metric)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * spread * math.sqrt(1 + 1 / len(y))
    low, high = (_back(float(y.mean()) + side * half, metric) for side in (-1, 1))
    return low, high


def _transformed(
    values: Sequence[float], metric: str
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Logarithms of losses, logits of accuracies, and other metrics as they are."""
    y = np.asarray(values, np.float64)
    if metric.endswith("_loss"):
        return np.log(y)
    return np.log(y / (1 - y)) if metric.endswith("_accuracy") else y


def _back(y: float, metric: str) -> float:
    """The inverse of ``_transformed`` for one value."""
    if metric.endswith("_loss"):
        return math.exp(min(y, 700.0))  # a larger exponent overflows
    return float(1 / (1 + np.exp(-y))) if metric.endswith("_accuracy") else y


# --- reasons --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reason:
    """Why some figures deviate, and which runs prove it: one ``[[reason]]`` of ``reasons.toml``.

    Attributes:
        configurations: patterns of the names of configurations that it is about.
        metrics: patterns of their metrics.
        proof: configurations whose figures are shown as proof.
        proof_metrics: metrics that are shown of them.
        epochs: epochs at which they are shown.
    """

    title: str
    why: str
    configurations: tuple[str, ...]
    metrics: tuple[str, ...] = ("*",)
    proof: tuple[str, ...] = ()
    proof_metrics: tuple[str, ...] = ()
    epochs: tuple[int, ...] = (1,)

    def explains(self, comparison: Comparison) -> bool:
        """Whether the reason is about this figure."""
        return _matches(comparison.configuration, self.configurations) and _matches(
            comparison.recorded.metric, self.metrics
        )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def read_reasons(path: Path) -> tuple[list[Reason], dict[str, str]]:
    """Reasons for deviations, and by pattern of configurations the reason why they were not run.

    Both are empty if there is no such file.

    Raises:
        ValueError: a table has an unknown key or lacks a required one.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    try:
        reasons = [Reason(**_with_tuples(table)) for table in tables.get("reason", [])]
        absent = {table["configurations"]: table["why"] for table in tables.get("absent", [])}
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path} has a table that cannot be used: {error}.") from None
    return reasons, absent


def _with_tuples(table: dict[str, Any]) -> dict[str, Any]:
    """The table with its lists as tuples."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
