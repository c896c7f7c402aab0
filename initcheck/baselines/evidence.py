"""Evidence files: read and checked, chosen for a device, merged with what is there, stored."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from initcheck.stats.decisions import DELTA

Entry = dict[str, Any]

NUMBERS: dict[str, set[type]] = {"integer": {int}, "number": {int, float}}  # bool is none
# No recording begins while a file is broken, whether pytest records or `initcheck record` does.
MEND = "Restore it from version control, or remove it and record its claim again."


class BaselineError(ValueError):
    """A file of baselines that cannot be used: the file, the place, and what mends it."""


def read_evidence(path: Path) -> Entry:
    """One evidence file; it is not to be changed, since it is read once while it stays the same.

    Raises:
        BaselineError: unreadable, no JSON (line and column named), or not of the schema.
    """
    try:
        stamp = path.stat().st_mtime_ns
    except OSError as error:
        raise BaselineError(f"{path} cannot be read: {error}. {MEND}") from None
    return _read(path, stamp)


@cache
def _read(path: Path, _changed: int) -> Entry:
    def refuse(constant: str) -> NoReturn:
        raise BaselineError(f"{path} holds a bare {constant}, which no evidence may. {MEND}")

    try:
        evidence: Entry = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BaselineError(f"{path} is no JSON at {place}: {error.msg}. {MEND}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BaselineError(f"{path} cannot be read: {error}. {MEND}") from None
    check_evidence(path, evidence)
    return evidence


def check_evidence(path: Path, evidence: Mapping[str, Any]) -> None:
    """Hold evidence against the shipped schema, and its parts against each other.

    Raises:
        BaselineError: the first place that does not fit.
    """
    errors = sorted(_validator().iter_errors(evidence), key=lambda e: list(e.path))
    if errors:
        where = "/".join(map(str, errors[0].path)) or "the top"
        said = errors[0].message[:200]
        raise BaselineError(f"{path} does not fit its schema at {where}: {said}. {MEND}")
    for number, entry in enumerate(evidence["environments"]):
        for where, said in _misfits(entry):
            place = f"environments/{number}/{where}"
            raise BaselineError(f"{path} does not fit together at {place}: {said}. {MEND}")


@cache
def _validator() -> Any:
    """The schema's; lists of numbers, which are most of a file, are looked at as a whole first."""
    from jsonschema import Draft202012Validator, validators  # noqa: PLC0415 -- where it is read

    schema = json.loads(
        (resources.files("initcheck.baselines") / "evidence.schema.json").read_text()
    )
    one_by_one = Draft202012Validator.VALIDATORS["items"]

    def items(validator: Any, each: Any, found: Any, whole: Any) -> Iterator[Any]:
        plain = NUMBERS.get(str(each.get("type"))) if each.keys() == {"type"} else None
        if plain is None or not isinstance(found, list) or not {*map(type, found)} <= plain:
            yield from one_by_one(validator, each, found, whole)

    return validators.extend(Draft202012Validator, {"items": items})(schema)


def _misfits(entry: Entry) -> Iterator[tuple[str, str]]:
    """What a schema cannot say: arms that are named exist, lists that belong together agree."""
    for key, comparison in entry["comparisons"].items():
        for side in ("treated_arm", "control_arm"):
            if comparison[side] not in entry["arms"]:
                yield f"comparisons/{key}/{side}", "no arm of that name was recorded"
        if key not in entry["origin"]:
            yield f"origin/{key}", "the comparison has no origin"
    for name, arm in entry["arms"].items():
        reference = arm["reference"]
        steps = len(reference["steps"])
        if len(reference["losses"]) != len(reference["seeds"]):
            yield f"arms/{name}/reference/losses", "there is not one curve a seed"
        if {steps} != {len(reference["envelope"]), *map(len, reference["losses"])}:
            yield f"arms/{name}/reference", f"{steps} steps, and not one value for each"


# --- environments -------------------------------------------------------------------------------


def choose(evidence: Entry, machine: Mapping[str, Any]) -> Entry | None:
    """The entry to judge a machine by: its kind of device, else the reference, the CPU's.

    Where several of the same type were recorded, the one with the same hardware.
    """
    entries: list[Entry] = evidence["environments"]
    alike = [e for e in entries if e["environment"]["device type"] == machine["device type"]]
    if len(alike) > 1:
        alike = [e for e in alike if e["environment"]["device"] == machine["device"]]
    reference = [e for e in entries if e["environment"]["device type"] == "cpu"]
    return next(iter([*alike, *reference]), None)


def same_place(a: Entry, b: Entry) -> bool:
    """Whether one entry takes the other's place.

    There is one reference, the CPU's, whatever CPU; of other devices one a hardware.
    """
    x, y = a["environment"], b["environment"]
    if x["device type"] != y["device type"]:
        return False
    return bool(x["device type"] == "cpu" or x["device"] == y["device"])


# --- storing ------------------------------------------------------------------------------------


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold off this user's other processes on this machine that would store into the folder.

    Between reading a file and putting a merged one in its place, theirs would be lost.
    """
    from filelock import FileLock  # noqa: PLC0415 -- only where evidence is stored

    user = getattr(os, "getuid", int)()  # somebody else's lock could not be opened
    name = hashlib.sha256(f"{user} {folder.resolve()}".encode()).hexdigest()[:16]
    with FileLock(Path(tempfile.gettempdir()) / f"initcheck-{name}.lock"):
        yield


def merged(old: Entry, entry: Entry, accept: str | None = None) -> Entry:
    """The evidence with an entry added or replaced; the origin never moves.

    Raises:
        BaselineError: a mean is further from its origin than matters, and ``accept`` is None.
    """
    before = next((e for e in old["environments"] if same_place(e, entry)), None)
    others = [e for e in old["environments"] if not same_place(e, entry)]
    if before is not None and not _descends(entry, before):
        entry = entry | {
            "origin": entry["origin"] | before["origin"],
            "accepted": [*before.get("accepted", []), *_accepted(before, entry, accept)],
        }
    return old | {"environments": sorted([*others, entry], key=_order)}


def _descends(entry: Entry, before: Entry) -> bool:
    """Whether an entry was recorded upon the other, elsewhere: it holds what was accepted."""
    accepted = before.get("accepted", [])
    return bool(
        entry["origin"] == entry["origin"] | before["origin"]
        and entry.get("accepted", [])[: len(accepted)] == accepted
        and "accepted" in entry
    )


def _order(entry: Entry) -> tuple[bool, str, str]:
    environment = entry["environment"]
    return environment["device type"] != "cpu", environment["device type"], environment["device"]


def _accepted(before: Entry, entry: Entry, accept: str | None) -> list[Entry]:
    """Drifts that this recording accepts: comparisons far from their origin."""
    now = entry["origin"]
    far = [
        key for key in entry["comparisons"]
        if key in before["origin"]
        and not any(_near(now[key], known) for known in _known(before, key))
    ]  # fmt: skip
    if far and accept is None:
        raise BaselineError(_refusal(far[0], before["origin"][far[0]], now[far[0]]))
    return [{"comparison": key, "reason": accept, "means": now[key]} for key in far]


def _known(before: Entry, key: str) -> list[Entry]:
    """The means a recording may be near: the origin's, and those of the last accepted drift."""
    drifts = [drift["means"] for drift in before.get("accepted", []) if drift["comparison"] == key]
    return [before["origin"][key], *drifts[-1:]]


def _near(now: Entry, known: Entry) -> bool:
    room = DELTA * abs(known["treated_mean"] - known["control_mean"])
    return all(abs(now[mean] - known[mean]) <= room for mean in ("treated_mean", "control_mean"))


def _refusal(key: str, origin: Entry, now: Entry) -> str:
    means = [f"{e['treated_mean']:.6g} against {e['control_mean']:.6g}" for e in (origin, now)]
    return (
        f"{key} was {means[0]} (treated against control) when it was first recorded, "
        f"{origin['date']}, and is {means[1]} now: more than {DELTA:.0%} of their distance away. "
        "Nothing was recorded. If that is meant, say why with --accept-drift REASON, which pytest "
        "knows as --initcheck-accept-drift REASON."
    )
