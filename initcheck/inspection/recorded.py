"""A check of the start against a recorded one, and the file that keeps it."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from initcheck.files import UnreadableError, read_json, write_atomic
from initcheck.inspection.fans import moments
from initcheck.inspection.findings import Finding, InspectionError
from initcheck.inspection.fingerprints import (
    Fingerprint,
    Recorded,
    fingerprint,
    other_law,
    other_table,
)
from initcheck.inspection.laws import Measured, Moments
from initcheck.inspection.start import Start, by_name
from initcheck.inspection.tensors import Named, digest

SCHEMA = 1
KIND = "initcheck start"
#: The probability that a start whose tensors are other draws of the recorded laws fails.
RATE = 1e-4


def check_recorded_start(start: Start) -> Iterator[Finding]:
    """Compare each tensor with its record: same bits, another draw, or another law."""
    recorded = start.recorded
    if recorded is None:
        return
    yield from _names(start, recorded)
    shared = [each for name, each in start.tensors.items() if name in recorded.tensors]
    changed: dict[str, list[Named]] = defaultdict(list)
    redrawn: list[Named] = []
    suspects: list[tuple[Named, str, Fingerprint]] = []
    for each in shared:
        then = recorded.tensors[each.name]
        if digest(each.tensor).hex() == then.digest:
            continue
        now = fingerprint(each, start.laws.get(each.name), then.edges)
        if (now.shape, now.dtype) != (then.shape, then.dtype):
            changed[
                f"The record has the shape {then.shape} and {then.dtype}; now it is {now.shape} "
                f"and {now.dtype}."
            ].append(each)
        else:
            what = _what(then, now, RATE / len(shared))
            if what:
                suspects.append((each, what, now))
            else:
                redrawn.append(each)
    varying = _varying(start, suspects)
    for each, what, _ in suspects:
        if each.name in varying:
            redrawn.append(each)
        else:
            changed[f"Another law: {what}."].append(each)
    for what, group in changed.items():
        yield start.finding(
            "recorded_start", "fail", group, value=float(len(group)), message=what,
            repair="If it is meant, record the start again.",
        )  # fmt: skip
    if redrawn:
        yield _note(start, redrawn, recorded)


def _note(start: Start, redrawn: list[Named], recorded: Recorded) -> Finding:
    versions = ""
    if recorded.torch != torch.__version__:
        versions = f" It was recorded with torch {recorded.torch}; this is {torch.__version__}."
    return start.finding(
        "recorded_start", "note", redrawn, value=float(len(redrawn)),
        message=f"{len(redrawn)} of {len(recorded.tensors)} tensors have other bits than the "
        f"record, but no other law.{versions}",
    )  # fmt: skip


def _names(start: Start, recorded: Recorded) -> Iterator[Finding]:
    new = [each for name, each in start.tensors.items() if name not in recorded.tensors]
    missing = tuple(name for name in recorded.tensors if name not in start.tensors)
    if new:
        yield start.finding(
            "recorded_start", "fail", new, value=float(len(new)),
            message=f"{len(new)} tensors are not in the record.",
            repair="If they are meant, record the start again.",
        )  # fmt: skip
    if missing:
        yield Finding(
            check="recorded_start",
            severity="fail",
            parameters=missing,
            owner=type(start.built.module).__name__,
            value=float(len(missing)),
            message=f"{len(missing)} tensors are in the record and not in the module.",
            repair="If they were renamed or removed on purpose, record the start again.",
        )


def _what(then: Fingerprint, now: Fingerprint, alpha: float) -> str:
    """How a tensor with other bits differs in law; empty if it may be another draw."""
    one, two = then.moments, now.moments
    if one is None and two is None:
        return "its entries are others"
    if one and two and one.variance and two.variance:
        if "table" in (then.law, now.law):
            differs = then.law != now.law or other_table(then, now)
            return f"it was a {then.law} and is a {now.law} with other values" if differs else ""
        return other_law(then, now, alpha=alpha)
    before, after = then.law or "not finite", now.law or "not finite"
    return f"it was {before} and is {after}" if before != after else "it has other constant bits"


def _varying(start: Start, suspects: list[tuple[Named, str, Fingerprint]]) -> set[str]:
    """Names of those whose law differs between the two seeds of this build as well.

    The variance of such a tensor is itself random.
    """
    if not suspects:
        return set()
    other = by_name(start.subject(start.seeds[1], None).module)
    found = set()
    for each, _, now in suspects:
        again = other.get(each.name)
        if again is None or now.moments is None or not now.moments.variance:
            continue
        second = fingerprint(again, Measured(moments(again), now.law), now.edges)
        if now.law != "table" and other_law(now, second, alpha=RATE / len(suspects)):
            found.add(each.name)
    return found


# --- the file -------------------------------------------------------------------------------------


def record(start: Start, path: Path) -> None:
    """Write the fingerprint of every tensor to a file, whole or not at all.

    Raises:
        InspectionError: there is no tensor to record.
        OSError: the file cannot be written.
    """
    if not start.tensors:
        raise InspectionError("There is no tensor to record: nothing of this module can be judged.")
    tensors = {
        name: asdict(fingerprint(each, start.laws.get(name)))
        for name, each in start.tensors.items()
    }
    head = {
        "kind": KIND, "schema": SCHEMA, "model": start.subject.name, "torch": torch.__version__,
        "seed": start.seeds[0],
    }  # fmt: skip
    lines = ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(each)}" for name, each in tensors.items()
    )
    text = json.dumps(head, indent=1)[:-2] + ',\n "tensors": {\n' + lines + "\n }\n}\n"
    write_atomic(path, text)


def read(path: Path) -> Recorded:
    """The start that a file keeps.

    Raises:
        InspectionError: the file is missing, damaged or of another schema. The message is a
            sentence.
    """
    again = f"Record it again: initcheck inspect MODULE:FUNCTION --record {path}"
    try:
        data = read_json(path)
    except UnreadableError as error:
        problem = f"There is no recorded start {path}" if error.missing else str(error)
        raise InspectionError(f"{problem}. {again}") from None
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise InspectionError(f"{path} is not a recorded start. {again}")
    if data.get("schema") != SCHEMA:
        raise InspectionError(
            f"{path} has schema {data.get('schema')!r}, and this version of initcheck reads "
            f"{SCHEMA}. {again}"
        )
    try:
        tensors = {str(name): _fingerprint(each) for name, each in data["tensors"].items()}
        recorded = Recorded(str(data["model"]), str(data["torch"]), tensors)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InspectionError(f"{path} is damaged ({error!r}). {again}") from None
    if not tensors:
        raise InspectionError(f"{path} has no tensors. {again}")
    return recorded


def _fingerprint(data: Mapping[str, Any]) -> Fingerprint:
    """A fingerprint from the file.

    Raises:
        KeyError, TypeError, ValueError: something is missing, or of the wrong kind.
    """
    found = data["moments"]
    moments = None
    if found is not None:
        moments = Moments(int(found["count"]), *(float(found[name]) for name in _NUMBERS))
        numbers = [getattr(moments, name) for name in _NUMBERS]
        if moments.count < 1 or not all(map(math.isfinite, numbers)) or moments.variance < 0:
            raise ValueError("moments that no tensor has")
    made = Fingerprint(
        shape=tuple(map(int, data["shape"])),
        dtype=str(data["dtype"]),
        digest=bytes.fromhex(data["digest"]).hex(),
        law=str(data["law"]),
        moments=moments,
        edges=tuple(map(float, data["edges"])),
        counts=tuple(map(int, data["counts"])),
        repeats=float(data["repeats"]),
    )
    if len(made.counts) != (len(made.edges) + 1 if made.edges else 0) or (
        moments and sum(made.counts) > moments.count
    ):
        raise ValueError("a histogram that does not fit its tensor")
    if list(made.edges) != sorted(made.edges) or min(made.counts, default=0) < 0:
        raise ValueError("a histogram that does not fit its tensor")
    return made


_NUMBERS = ("mean", "variance", "kurtosis", "low", "high")
