"""The limits, which people write: `limits.toml`, read and checked."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from initcheck.baselines.evidence import (
    BaselineError,
)
from initcheck.stats.decisions import Limit

KINDS = ("measured", "theorem", "exact")  # from the weakest to the strictest


NUMBERS = ("max", "min", "margin")


WORDS = ("unit", "kind", "why", "fault")


@dataclass(frozen=True)
class LimitEntry:
    """One ``[claim.probe]`` of limits.toml: the interval or the margin of a gain, and why there."""

    claim: str
    probe: str
    unit: str
    kind: str
    why: str
    fault: str
    low: float = -math.inf
    high: float = math.inf
    margin: float | None = None

    @property
    def interval(self) -> Limit:
        """The interval as the gate takes it."""
        return Limit(self.low, self.high)

    def serves(self, form: str) -> bool:
        """Whether the entry has what ``holds`` or ``gains`` needs."""
        if form == "gains":
            return self.margin is not None
        if form == "rate":
            return 0 < self.low < 1 and self.high == math.inf
        return math.isfinite(self.low) or math.isfinite(self.high)

    def shown(self, form: str) -> dict[str, float | None]:
        """As the results file gives it: open ends are null."""
        if form == "gains":
            return {"margin": self.margin}
        ends = {"min": self.low, "max": self.high}
        return {end: value if math.isfinite(value) else None for end, value in ends.items()}


def read_limits(path: Path) -> dict[str, dict[str, LimitEntry]]:
    """All limits, by claim and probe.

    Raises:
        BaselineError: the file is missing, is no TOML, or an entry misses or misspells a key.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BaselineError(
            f"There is no {path}; claims need their limits there. Name another folder with "
            "--baselines DIR, which pytest knows as --initcheck-baselines DIR."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise BaselineError(f"{path} cannot be read: {error}. Mend that line.") from None
    return {claim: _claim_limits(path, claim, probes) for claim, probes in tables.items()}


def _claim_limits(path: Path, claim: str, probes: object) -> dict[str, LimitEntry]:
    if not isinstance(probes, dict) or not all(isinstance(p, dict) for p in probes.values()):
        raise BaselineError(f"{path}: [{claim}] holds no [{claim}.PROBE] tables. Add the probe.")
    return {probe: _limit(path, claim, probe, entry) for probe, entry in probes.items()}


def _limit(path: Path, claim: str, probe: str, entry: dict[str, Any]) -> LimitEntry:
    place = f"{path}: [{claim}.{probe}]"
    _check_keys(place, entry)
    _check_numbers(place, entry)
    if entry["kind"] not in KINDS:
        raise BaselineError(
            f"{place} has kind {entry['kind']!r}, which is none of {', '.join(KINDS)}."
        )
    return LimitEntry(
        claim,
        probe,
        **{key: entry[key] for key in WORDS},
        low=float(entry.get("min", -math.inf)),
        high=float(entry.get("max", math.inf)),
        margin=float(entry["margin"]) if "margin" in entry else None,
    )


def _check_keys(place: str, entry: dict[str, Any]) -> None:
    for key in entry:
        if key not in NUMBERS + WORDS:
            raise BaselineError(
                f"{place} has {key!r}, which is none of {', '.join(NUMBERS + WORDS)}."
            )
    for key in WORDS:
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise BaselineError(f"{place} has no {key!r}. Write it as a text in quotes.")


def _check_numbers(place: str, entry: dict[str, Any]) -> None:
    given = {key: entry[key] for key in NUMBERS if key in entry}
    for key, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BaselineError(f"{place} has {key} = {value!r}, which is not a number.")
        if not math.isfinite(value):
            raise BaselineError(f"{place} has {key} = {value}, which is no limit.")
    if not given:
        raise BaselineError(f"{place} needs 'max' or 'min' for holds, or 'margin' for gains.")
    if given.get("min", -math.inf) > given.get("max", math.inf):
        raise BaselineError(f"{place} has min {given['min']} above max {given['max']}.")


def nearest(start: Path) -> Path | None:
    """The first folder ``baselines`` with limits beside a folder's files or further up."""
    places = (folder / "baselines" for folder in (start, *start.parents))
    return next((place for place in places if (place / "limits.toml").is_file()), None)
