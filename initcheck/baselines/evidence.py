"""Evidence files: reading, checking, choosing an entry for a device, and merging entries."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from initcheck.baselines import checks
from initcheck.files import UnreadableError, read_json
from initcheck.stats.decisions import DELTA

Entry = dict[str, Any]

NUMBERS: dict[str, set[type]] = {"integer": {int}, "number": {int, float}}  # bool is excluded
WAY = {"$ref": "#/$defs/way"}
# pytest and `initcheck record` start no recording while a file is broken, so it must go first.
REPAIR = "Restore it from version control, or remove it and record its claim again."
# What a file name cannot hold on some system, and what would lead out of the folder.
NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]')
LONGEST_NAME = 200  # bytes; file systems allow 255, and a file that is being written has more


class BaselineError(ValueError):
    """A baseline file cannot be used. The message names the file, the place and the repair."""


def stem_of(claim_id: str) -> str:
    """The name of a claim's evidence file without its suffix: the id, made safe as a name.

    Raises:
        BaselineError: the id is too long for the name of a file.
    """
    stem = NOT_IN_NAMES.sub(lambda match: f"%{ord(match[0]):02X}", claim_id)
    if len(os.fsencode(stem)) > LONGEST_NAME:
        raise BaselineError(
            f"The claim {claim_id[:60]}... has an id of {len(claim_id)} characters. Evidence is "
            f"filed under it, and a file name has room for {LONGEST_NAME} bytes. Give its "
            "parameters shorter ids."
        )
    return stem


def read_evidence(path: Path) -> Entry:
    """One evidence file. Do not change the result: it is cached until the file changes.

    Raises:
        BaselineError: the file cannot be read, is not JSON (the message names line and column),
            does not fit the schema, is named after another claim, or has a value outside its
            domain.
    """
    try:
        modified = path.stat().st_mtime_ns
    except OSError:
        modified = 0  # reading it says what is wrong
    return _read(path, modified)


@cache
def _read(path: Path, _modified: int) -> Entry:
    try:
        evidence: Entry = read_json(path)
    except UnreadableError as error:
        raise BaselineError(f"{error}. {REPAIR}") from None
    return checked(path, evidence)


def checked(path: Path, evidence: Entry) -> Entry:
    """The evidence of a file, once it is known to be sound and to belong to the file's name.

    Raises:
        BaselineError: see ``read_evidence``.
    """
    check_evidence(path, evidence)
    if stem_of(evidence["claim"]) != path.stem:
        raise BaselineError(
            f"{path} holds evidence of the claim {evidence['claim']!r}, but its name says "
            f"{path.stem!r}. Rename the file together with its claim. {REPAIR}"
        )
    return evidence


def check_evidence(path: Path, evidence: Mapping[str, Any]) -> None:
    """Check evidence against the schema, every value against its domain, and parts against others.

    Raises:
        BaselineError: the message names the first place that does not fit.
    """
    errors = sorted(
        _validator().iter_errors(evidence), key=lambda e: (list(e.path) != ["schema"], list(e.path))
    )
    if errors:
        place = "/".join(map(str, errors[0].path)) or "the top level"
        problem = errors[0].message[:200]
        raise BaselineError(f"{path} does not fit its schema at {place}: {problem}. {REPAIR}")
    for number, entry in enumerate(evidence["environments"]):
        for part, problem in checks.problems(entry):
            place = f"environments/{number}/{part}"
            raise BaselineError(f"{path} is damaged at {place}: {problem}. {REPAIR}")


@cache
def _validator() -> Any:
    """The schema's validator; it checks lists of numbers and ways, most of a file, in one step."""
    from jsonschema import Draft202012Validator, validators  # noqa: PLC0415 -- slow to import

    schema = json.loads(
        (resources.files("initcheck.baselines") / "evidence.schema.json").read_text()
    )
    check_each = Draft202012Validator.VALIDATORS["items"]
    check_others = Draft202012Validator.VALIDATORS["additionalProperties"]

    def items(validator: Any, item_schema: Any, values: Any, schema: Any) -> Iterator[Any]:
        is_plain = item_schema.keys() == {"type"}
        types = NUMBERS.get(str(item_schema.get("type"))) if is_plain else None
        if types is None or not isinstance(values, list) or not {*map(type, values)} <= types:
            yield from check_each(validator, item_schema, values, schema)

    def others(validator: Any, its_schema: Any, values: Any, schema: Any) -> Iterator[Any]:
        if (
            its_schema != WAY
            or not isinstance(values, dict)
            or not all(map(_is_way, values.values()))
        ):
            yield from check_others(validator, its_schema, values, schema)

    extended = {"items": items, "additionalProperties": others}
    return validators.extend(Draft202012Validator, extended)(schema)


def _is_way(way: object) -> bool:
    """Whether it fits the schema of a way: for each seed a list, and an envelope of numbers."""
    return (
        isinstance(way, dict) and way.keys() == {"sketches", "envelope"}
        and isinstance(way["sketches"], list) and {*map(type, way["sketches"])} <= {list}
        and isinstance(way["envelope"], list) and {*map(type, way["envelope"])} <= NUMBERS["number"]
    )  # fmt: skip


# --- environments -------------------------------------------------------------------------------


def choose(evidence: Entry, machine: Mapping[str, Any]) -> Entry | None:
    """The entry to judge a machine by, or None.

    This is the entry of the same device type; of several, the one of the same hardware. Without
    one it is the reference, which is the CPU's.
    """
    entries: list[Entry] = evidence["environments"]
    same_type = [e for e in entries if e["environment"]["device type"] == machine["device type"]]
    if len(same_type) > 1:
        same_type = [e for e in same_type if e["environment"]["device"] == machine["device"]]
    reference = [e for e in entries if e["environment"]["device type"] == "cpu"]
    return next(iter([*same_type, *reference]), None)


def same_place(a: Entry, b: Entry) -> bool:
    """Whether one entry replaces the other.

    There is one entry for all CPUs, the reference, and one for each hardware of other devices.
    """
    x, y = a["environment"], b["environment"]
    if x["device type"] != y["device type"]:
        return False
    return bool(x["device type"] == "cpu" or x["device"] == y["device"])


# --- storing ------------------------------------------------------------------------------------


def sealed(evidence: Entry) -> Entry:
    """The evidence with a digest in each entry, by which a later change of the file is noticed."""
    entries = [entry | {"digest": checks.digest(entry)} for entry in evidence["environments"]]
    return evidence | {"environments": entries}


def merged(old: Entry, entry: Entry, accept: str | None = None) -> Entry:
    """The evidence with an entry added or replaced; means of the first recording, the origin, stay.

    Raises:
        BaselineError: a mean is too far from its origin, and ``accept`` gives no reason.
    """
    before = next((e for e in old["environments"] if same_place(e, entry)), None)
    others = [e for e in old["environments"] if not same_place(e, entry)]
    if before is not None and not _continues(entry, before):
        entry = entry | {
            "origin": entry["origin"] | before["origin"],
            "accepted": [*before.get("accepted", []), *_accepted(before, entry, accept)],
        }
    return old | {"environments": sorted([*others, entry], key=_order)}


def _continues(entry: Entry, before: Entry) -> bool:
    """Whether the entry was merged with the other one before: it has its origin and drifts."""
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
    """The drifts that this recording accepts: comparisons whose means are far from their origin."""
    now = entry["origin"]
    far = [
        key for key in entry["comparisons"]
        if key in before["origin"]
        and not any(_near(now[key], accepted) for accepted in _accepted_means(before, key))
    ]  # fmt: skip
    if far and accept is None:
        raise BaselineError(_refusal(far[0], before["origin"][far[0]], now[far[0]]))
    return [{"comparison": key, "reason": accept, "means": now[key]} for key in far]


def _accepted_means(before: Entry, key: str) -> list[Entry]:
    """The means that a recording may be near: the origin's and the last accepted drift's."""
    drifts = [drift["means"] for drift in before.get("accepted", []) if drift["comparison"] == key]
    return [before["origin"][key], *drifts[-1:]]


def _near(now: Entry, accepted: Entry) -> bool:
    allowed = DELTA * abs(accepted["treated_mean"] - accepted["control_mean"])
    return all(
        abs(now[mean] - accepted[mean]) <= allowed for mean in ("treated_mean", "control_mean")
    )


def _refusal(key: str, origin: Entry, now: Entry) -> str:
    means = [f"{e['treated_mean']:.6g} against {e['control_mean']:.6g}" for e in (origin, now)]
    return (
        f"The means of {key} (treated against control) were {means[0]} in the first recording of "
        f"{origin['date']} and are {means[1]} now. They moved by more than {DELTA:.0%} of the "
        "distance between the arms, so nothing was recorded. If you want to record them, give the "
        "reason with --accept-drift REASON (in pytest: --initcheck-accept-drift REASON)."
    )
