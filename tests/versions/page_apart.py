"""The sections of baselines/VERSIONS.md about devices whose claims ran in separate processes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from initcheck.files.templates import table
from initcheck.plugin.known import KnownFailure, read_known
from initcheck.results import ORDER
from tests.versions.environment import ROOT

Measured = Mapping[str, Any]
HEAD = (
    "file", "claims", "pass", "known failures", "other verdicts", "not judged", "largest r",
    "seconds",
)  # fmt: skip


def sections(folder: Path, claims: int) -> Iterator[str]:
    """A section for each device; ``claims`` is how many the gate has."""
    for path in sorted(folder.glob("*.json")):
        if path.name.startswith(("torch-", "reference-")):
            continue
        whole = json.loads(path.read_text(encoding="utf-8"))
        known = [
            each for each in read_known(ROOT / "baselines")
            if (each.device, each.torch) == (whole["device"], whole["torch"].partition("+")[0])
        ]  # fmt: skip
        files = {name: _sorted_out(each, known) for name, each in sorted(whole["files"].items())}
        count = Counter(word for each in files.values() for word in each["verdicts"].values())
        excused = [each for file in files.values() for each in file["known"]]
        late = sum(len(each["not_judged"]) for each in files.values())
        judged = sum(count.values())
        yield from (
            f"## {whole['device'].upper()}", "",
            f"torch {whole['torch']}, {whole['backend']}: {len(files)} files of claims, each in a "
            "separate process. "
            + ", ".join(f"{count[verdict]} {verdict}" for verdict in ORDER if count[verdict])
            + f"; {len(excused)} of them known failures; {late} not judged in time. "
            f"{max(claims - judged - late, 0)} of the gate's {claims} claims did not run.",
            "",
            table((*HEAD, "commit"), [_file(name, each) for name, each in files.items()]),
            "",
            *(f"- Known: `{each['id']}`, {each['verdict']}. {each['why']}" for each in excused),
            *red_claims([(each["commit"], each) for each in files.values()], named=False), "",
        )  # fmt: skip


def _sorted_out(each: Measured, known: Sequence[KnownFailure]) -> Measured:
    """A file's measurement; what has got entries since then counts as known as well."""
    excused, red = list(each["known"]), []
    for claim in each["red"]:
        why = _why(claim, known)
        if why:
            excused.append({"id": claim["id"], "verdict": claim["verdict"], "why": why})
        else:
            red.append(claim)
    return {**each, "known": excused, "red": red}


def _why(claim: Measured, known: Sequence[KnownFailure]) -> str:
    """Why a claim fails, if each of its comparisons has its entry and each entry its failure."""
    entries = {each.comparison: each for each in known if _name(claim["id"]) == each.claim}
    reasons = " ".join(dict.fromkeys(each.reason for each in entries.values()))
    for line in claim["reasons"]:
        head, _, reason = line.partition(": ")
        title, _, verdict = head.rpartition(" ")
        entry = entries.pop(title, None)
        if entry is None or entry.verdict != verdict or entry.because not in reason:
            return ""
    return "" if entries else reasons


def _name(claim_id: str) -> str:
    """A claim's name with its parameters: the device is the last of them."""
    stem, _, parameters = claim_id.removesuffix("]").partition("[")
    others = parameters.rpartition("-")[0]
    return f"{stem}[{others}]" if others else stem


def _file(name: str, each: Measured) -> tuple[object, ...]:
    known = {one["id"] for one in each["known"]}
    others = Counter(
        verdict for claim, verdict in each["verdicts"].items()
        if verdict != "pass" and claim not in known
    )  # fmt: skip
    r = _distance(each["farthest"])
    return (
        name, len(each["verdicts"]), list(each["verdicts"].values()).count("pass"), len(known),
        ", ".join(f"{number} {verdict}" for verdict, number in others.items()) or "-",
        len(each["not_judged"]), r, each["seconds"], each["commit"],
    )  # fmt: skip


def _distance(farthest: Sequence[Measured]) -> str:
    """The largest r; one that is not finite was kept as 1e30."""
    if not farthest:
        return "-"
    return f"{farthest[0]['r']:.3g}" if farthest[0]["r"] < 1e30 else "not finite"


def red_claims(gates: Sequence[tuple[str, Measured]], *, named: bool = True) -> Iterator[str]:
    """A line per claim, verdict and reason's probe, with the releases in which it is so."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for name, gate in gates:
        for each in gate["red"]:
            key = each["id"], each["verdict"]
            found.setdefault(key, {})[name] = each["reasons"]
        for each in gate["not_judged"]:
            found.setdefault((each["id"], "not judged"), {})[name] = [each["reason"]]
    for (claim, verdict), releases in sorted(found.items()):
        newest = next(iter(releases))
        where = f" with {'; '.join(releases)}. With {newest}:" if named else ":"
        yield f"- `{claim}`: {verdict}{where}"
        yield from (f"    - {reason}" for reason in releases[newest])
