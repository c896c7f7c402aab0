"""The limits, which people write in `limits.toml`: reading and checking."""

from __future__ import annotations

import math
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from initcheck.baselines.evidence import BaselineError
from initcheck.files import is_there, read_text
from initcheck.stats.decisions import Limit

KINDS = ("measured", "theorem", "exact")  # from the weakest to the strictest

NUMBERS = ("max", "min", "margin")
WORDS = ("unit", "kind", "why", "fault")
LARGEST = sys.float_info.max


@dataclass(frozen=True)
class LimitEntry:
    """One ``[claim.probe]`` table of limits.toml: an interval or a margin, and its reason."""

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
        """The interval from ``low`` to ``high``."""
        return Limit(self.low, self.high)

    def serves(self, form: str) -> bool:
        """Whether the entry has the numbers that ``holds``, ``gains`` or ``rate`` needs."""
        if form == "gains":
            return self.margin is not None
        if form == "rate":
            return 0 < self.low < 1 and self.high == math.inf
        return math.isfinite(self.low) or math.isfinite(self.high)

    def shown(self, form: str) -> dict[str, float | None]:
        """The limit's numbers as the results file stores them, with None for an infinite end."""
        if form == "gains":
            return {"margin": self.margin}
        ends = {"min": self.low, "max": self.high}
        return {end: value if math.isfinite(value) else None for end, value in ends.items()}


def read_limits(path: Path) -> dict[str, dict[str, LimitEntry]]:
    """All limits, by claim and probe.

    Raises:
        BaselineError: the file is missing or not TOML, or an entry lacks or misspells a key.
    """
    try:
        text = read_text(path) if is_there(path) else None
        tables = {} if text is None else tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BaselineError(f"{path} is not valid TOML: {error}. Correct that place.") from None
    except UnicodeDecodeError:
        raise BaselineError(f"{path} cannot be read: it is not UTF-8. Save it as UTF-8.") from None
    except OSError as error:
        raise BaselineError(f"{path} cannot be read: {error.strerror}. Restore the file.") from None
    except (ValueError, RecursionError):  # TOML has room for what Python has not
        raise BaselineError(
            f"{path} cannot be read: it has a number that is too long, or is nested too deeply. "
            "Restore it from version control, or correct it."
        ) from None
    if text is None:
        raise BaselineError(
            f"There is no {path}, which must hold the limits of all claims. Name another folder "
            "with --baselines DIR (in pytest: --initcheck-baselines DIR)."
        )
    return {claim: _claim_limits(path, claim, probes) for claim, probes in tables.items()}


def _claim_limits(path: Path, claim: str, probes: object) -> dict[str, LimitEntry]:
    if not isinstance(probes, dict) or not all(isinstance(p, dict) for p in probes.values()):
        raise BaselineError(
            f"{path}: [{claim}] must hold one table [{claim}.PROBE] per probe, and nothing else. "
            "Add the probe's name to the table."
        )
    return {probe: _limit(path, claim, probe, entry) for probe, entry in probes.items()}


def _limit(path: Path, claim: str, probe: str, entry: dict[str, Any]) -> LimitEntry:
    place = f"{path}: [{claim}.{probe}]"
    _check_keys(place, entry)
    _check_numbers(place, entry)
    if entry["kind"] not in KINDS:
        raise BaselineError(f"{place} has kind {entry['kind']!r}. Write one of {', '.join(KINDS)}.")
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
                f"{place} has an unknown key {key!r}. Write one of {', '.join(NUMBERS + WORDS)}."
            )
    for key in WORDS:
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise BaselineError(f"{place} lacks {key!r}, a text in quotes. Add it.")


def _check_numbers(place: str, entry: dict[str, Any]) -> None:
    given = {key: entry[key] for key in NUMBERS if key in entry}
    for key, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BaselineError(f"{place} has {key} = {value!r}. Write a number.")
        if not abs(value) <= LARGEST:  # NaN too
            shown = f"{value}" if isinstance(value, float) else "a number that no float can hold"
            raise BaselineError(f"{place} has {key} = {shown}. Write a finite number.")
    if not given:
        raise BaselineError(
            f"{place} has no number. Add 'max' or 'min' for holds, or 'margin' for gains."
        )
    if given.get("min", -math.inf) > given.get("max", math.inf):
        raise BaselineError(
            f"{place} has min {given['min']} above max {given['max']}. Correct one of them."
        )


def nearest(start: Path) -> Path | None:
    """The nearest folder ``baselines`` with limits, in a folder or one of its parents."""
    places = (folder / "baselines" for folder in (start, *start.parents))
    return next((place for place in places if is_there(place / "limits.toml")), None)
