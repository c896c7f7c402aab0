"""Why figures deviate and why some were not run: `reasons.toml`, which people write."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from initcheck.reproduction.compare import Comparison


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
