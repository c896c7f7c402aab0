"""The domain of every value in evidence: damaged evidence is an error and judges nothing."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

Entry = Mapping[str, Any]
Problem = tuple[str, str]  # the place in the entry, and what is wrong there

MARKS = 2  # numbers per parameter and seed in a fingerprint of a start
LAYER_SEEDS = 4  # seeds whose layers are recorded; each costs a forward and a backward pass
DIGITS = 16  # hexadecimal digits of a digest


def problems(entry: Entry) -> Iterator[Problem]:
    """What is wrong with one entry that fits the schema: places and problems."""
    for name, arm in entry["arms"].items():
        yield from _at(f"arms/{name}/seeds", _distinct(arm["seeds"]))
        yield from _at(f"arms/{name}/reference", _reference(arm["reference"]))
    for key, comparison in entry["comparisons"].items():
        yield from _at(f"comparisons/{key}", _comparison(comparison, entry["arms"]))
        if key not in entry["origin"]:
            yield f"origin/{key}", "the comparison has no origin"
    for key, origin in entry["origin"].items():
        yield from _at(f"origin/{key}", _origin(origin))
    if "digest" in entry and entry["digest"] != digest(entry):
        yield "digest", "the entry was changed after it was written"


def digest(entry: Entry) -> str:
    """A fingerprint of all of an entry but its own digest. Evidence of older releases has none."""
    rest = {key: value for key, value in entry.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:DIGITS]


def _at(place: str, inside: Iterator[Problem]) -> Iterator[Problem]:
    yield from ((f"{place}/{at}".rstrip("/"), problem) for at, problem in inside)


def _distinct(seeds: Sequence[int]) -> Iterator[Problem]:
    if not seeds:
        yield "", "there must be at least one seed"
    if len(set(seeds)) < len(seeds):
        yield "", "a seed appears twice"
    if not all(type(seed) is int and seed >= 0 for seed in seeds):
        yield "", "seeds are whole numbers of at least 0"


def _reference(reference: Entry) -> Iterator[Problem]:
    seeds, steps = reference["seeds"], reference["steps"]
    yield from _at("seeds", _distinct(seeds))
    if not all(type(step) is int for step in steps) or not _rising([-1, *steps], least=1):
        yield "steps", "steps must be whole numbers of at least 0, each above the one before"
    if len(reference["losses"]) != len(seeds):
        yield "losses", "it must hold one curve per seed"
    if {len(steps)} != {len(reference["envelope"]), *map(len, reference["losses"])}:
        yield "", f"curves and envelope must hold one value for each of {len(steps)} steps"
    if not all(map(_finite, reference["losses"])):
        yield "losses", "every loss must be finite"
    yield from _at("envelope", _envelope(reference["envelope"]))
    yield from _by_name(reference, len(seeds), len(steps))


def _by_name(reference: Entry, seeds: int, steps: int) -> Iterator[Problem]:
    """What is wrong with the fingerprints and sketches of a reference."""
    if len(reference.get("order", range(seeds))) != seeds:
        yield "order", "it must hold one number per seed"
    for name, way in reference.get("ways", {}).items():
        yield from _at(f"ways/{name}", _way(way, seeds, steps))
    for name, rows in reference["start"].items():
        if not _table(rows, seeds, MARKS):
            yield f"start/{name}", f"it must hold {MARKS} finite numbers for each seed"
    for name, rows in reference["layers"].items():
        if not _table(rows, min(seeds, LAYER_SEEDS), 1):
            yield (
                f"layers/{name}",
                f"it must hold one finite number for each of {LAYER_SEEDS} seeds",
            )


def _way(way: Entry, seeds: int, steps: int) -> Iterator[Problem]:
    """What is wrong with one tensor's sketches."""
    sketches, envelope = way["sketches"], way["envelope"]
    if not 1 <= len(envelope) <= steps:
        yield "envelope", f"it must hold a value for each of 1 to {steps} steps"
        return
    if len(sketches) != seeds:
        yield "sketches", "it must hold one list per seed"
        return
    width = len(sketches[0][0]) if sketches[0] and isinstance(sketches[0][0], list) else 0
    rows = list(chain.from_iterable(sketches))
    each = {*map(len, sketches)}
    if width < 2 or each != {len(envelope)} or not _table(rows, len(rows), width):
        yield "sketches", "each seed needs the same number of finite numbers, 2 or more, per step"
    elif any(row[-1] < 0 for row in rows):
        yield "sketches", "the last number is a length, which cannot be below 0"
    if not _finite(envelope) or not all(size >= 0 for size in envelope):
        yield "envelope", "every value must be finite and at least 0"
    elif not _rising(envelope, least=0):
        yield "envelope", "it is the largest distance so far, so it cannot fall"


def _envelope(envelope: Sequence[float]) -> Iterator[Problem]:
    if not _finite(envelope) or not all(width > 0 for width in envelope):
        yield "", "every value must be finite and above 0"
    elif not _rising(envelope, least=0):
        yield "", "it is the largest distance so far, so it cannot fall"


def _comparison(comparison: Entry, arms: Mapping[str, Any]) -> Iterator[Problem]:
    for side in ("treated", "control"):
        values, arm = comparison[side], comparison[f"{side}_arm"]
        if arm not in arms:
            yield f"{side}_arm", "the entry holds no arm of that name"
        elif len(values) != len(arms[arm]["seeds"]):
            yield side, "it must hold one value for each seed of its arm"
        if not _finite(values):
            yield side, "every value must be finite"
        if comparison.get("form") == "rate" and not {*values} <= {0, 1}:
            yield side, "a rate counts successes, so every value must be 0 or 1"
    if comparison.get("reference_arm", comparison["treated_arm"]) not in arms:
        yield "reference_arm", "the entry holds no arm of that name"


def _origin(origin: Entry) -> Iterator[Problem]:
    for side in ("treated", "control"):
        if not _finite([origin[f"{side}_mean"], origin[f"{side}_std"]]):
            yield side, "mean and std must be finite"
        elif origin[f"{side}_std"] < 0:
            yield f"{side}_std", "a standard deviation cannot be below 0"


def _finite(values: Sequence[float]) -> bool:
    return all(map(math.isfinite, values))


def _rising(values: Sequence[float], *, least: float) -> bool:
    return all(after - before >= least for before, after in pairwise(values))


def _table(rows: object, count: int, width: int) -> bool:
    """Whether the rows are this many lists of as many finite numbers."""
    if not isinstance(rows, list) or len(rows) != count or not {*map(type, rows)} <= {list}:
        return False
    numbers = list(chain.from_iterable(rows))
    return (
        {*map(len, rows)} <= {width} and {*map(type, numbers)} <= {int, float} and _finite(numbers)
    )
