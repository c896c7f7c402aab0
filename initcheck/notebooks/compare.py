"""Recorded against ours: is the recorded figure one more draw of what our seeds give?"""

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
CONFIDENCE = 0.99  # one figure in a hundred is called deviating by chance
LEAST_FREEDOM = 2  # with less, the quantile of Student's law allows anything


@dataclass(frozen=True)
class Comparison:
    """One recorded figure and ours.

    Attributes:
        ours: one value a seed, empty where the metric was not measured.
        allowed: where the recorded figure may lie, or None where our spread is not known.
        reached: whether our runs went on to its epoch, or have the figure.
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
        """Ours minus recorded."""
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


Key = tuple[str, str, int]  # kin, metric, epoch


def compare(
    recorded: Sequence[Recorded],
    runs: Mapping[str, Sequence[Run]],
    configurations: Sequence[Configuration],
) -> list[Comparison]:
    """Every recorded figure beside every configuration that was run and is to reproduce it."""
    spreads = _spreads(runs, configurations)
    found = []
    for configuration in configurations:
        mine = runs.get(configuration.name, ())
        if not mine:
            continue
        found += [
            _comparison(configuration, row, mine, spreads)
            for name in configuration.compared
            for row in recorded
            if row.configuration == name and row.value is not None
        ]
    return found


def _comparison(
    configuration: Configuration,
    row: Recorded,
    runs: Sequence[Run],
    spreads: Mapping[Key, tuple[float, int]],
) -> Comparison:
    curves = [run.figures.curve(row.metric) for run in runs]
    ours = tuple(curve[row.epoch] for curve in curves if row.epoch in curve)
    known = spreads.get((_kin(configuration), row.metric, row.epoch))
    allowed = _allowed(ours, row.metric, *known) if ours and known else None
    # a curve of single steps goes on beyond the epochs
    reached = bool(ours) or row.epoch <= max(run.epochs for run in runs)
    return Comparison(configuration.name, row, runs[0].data, ours, allowed, reached)


def _kin(configuration: Configuration) -> str:
    """Configurations of one notebook and optimizer share their spread between seeds."""
    protocol = configuration.protocol
    rate = getattr(protocol, "lr", "")
    return f"{configuration.notebook} {protocol.optimizer} {rate}"


def _spreads(
    runs: Mapping[str, Sequence[Run]], configurations: Sequence[Configuration]
) -> dict[Key, tuple[float, int]]:
    """Pooled standard deviation between seeds and its degrees of freedom."""
    squares: dict[Key, list[tuple[float, int]]] = {}
    for configuration in configurations:
        mine = runs.get(configuration.name, ())
        if len(mine) < 2:
            continue
        for metric, curve in mine[0].figures.curves.items():
            for epoch in curve:
                curves = [run.figures.curve(metric) for run in mine]
                y = _transformed([c[epoch] for c in curves if epoch in c], metric)
                key = (_kin(configuration), metric, epoch)
                squares.setdefault(key, []).append((float(((y - y.mean()) ** 2).sum()), len(y) - 1))
    pooled = {key: (sum(s for s, _ in p), sum(n for _, n in p)) for key, p in squares.items()}
    return {key: (math.sqrt(s / n), n) for key, (s, n) in pooled.items() if n >= LEAST_FREEDOM}


def _allowed(
    ours: Sequence[float], metric: str, spread: float, freedom: int
) -> tuple[float, float]:
    """Where one more draw would lie: Student's interval on the transformed scale, mapped back."""
    y = _transformed(ours, metric)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * spread * math.sqrt(1 + 1 / len(y))
    low, high = (_back(float(y.mean()) + side * half, metric) for side in (-1, 1))
    return low, high


def _transformed(
    values: Sequence[float], metric: str
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Losses by their logarithm, accuracies by their logit, all else as it is."""
    y = np.asarray(values, np.float64)
    if metric.endswith("_loss"):
        return np.log(y)
    return np.log(y / (1 - y)) if metric.endswith("_accuracy") else y


def _back(y: float, metric: str) -> float:
    if metric.endswith("_loss"):
        return math.exp(min(y, 700.0))  # beyond, a float overflows
    return float(1 / (1 + np.exp(-y))) if metric.endswith("_accuracy") else y


@dataclass(frozen=True)
class Reason:
    """Why figures deviate, and which runs prove it.

    Attributes:
        configurations: patterns of the configurations that were run.
        metrics: patterns of their metrics.
        proof: configurations whose figures are set side by side.
        epochs: the epochs at which they are.
    """

    title: str
    why: str
    configurations: tuple[str, ...]
    metrics: tuple[str, ...] = ("*",)
    proof: tuple[str, ...] = ()
    proof_metrics: tuple[str, ...] = ()
    epochs: tuple[int, ...] = (1,)

    def explains(self, comparison: Comparison) -> bool:
        """Whether it is about this figure."""
        return _matches(comparison.configuration, self.configurations) and _matches(
            comparison.recorded.metric, self.metrics
        )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def read_reasons(path: Path) -> tuple[list[Reason], dict[str, str]]:
    """Reasons for deviations, and for what was not run, by pattern.

    Raises:
        ValueError: a key that no reason has, or one that is missing.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    try:
        reasons = [Reason(**_tuples(table)) for table in tables.get("reason", [])]
        absent = {table["configurations"]: table["why"] for table in tables.get("absent", [])}
    except (TypeError, KeyError) as error:
        raise ValueError(f"{path}: {error}") from None
    return reasons, absent


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}
