"""One file a run of the gate: what was run, on what, and what every claim and arm came to."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from initcheck.evidence import write_atomic

KINDS = ("clean", "innocent", "fault")


@dataclass(frozen=True)
class Run:
    """One run of the gate.

    Attributes:
        kind: ``clean``, ``innocent`` or ``fault``.
        name: of the change or the fault; ``suite`` for a clean run.
        salt: of its seeds.
        commit, torch, machine, date: where and when.
        seconds: on the wall.
        claims: verdict of each claim.
        why: of each red claim, the comparisons that were not green, and their reasons.
        arms: r of each arm, claim by claim; None where it was not judged.
        moved: arms whose outcomes had moved from their evidence.
    """

    kind: str
    name: str
    salt: str
    commit: str = ""
    torch: str = ""
    machine: str = ""
    date: str = ""
    seconds: float = 0.0
    claims: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    arms: dict[str, dict[str, float | None]] = field(default_factory=dict)
    moved: list[str] = field(default_factory=list)

    @property
    def red(self) -> tuple[str, ...]:
        """Claims that did not pass."""
        return tuple(claim for claim, verdict in self.claims.items() if verdict != "pass")

    def path(self, folder: Path) -> Path:
        """Where it is kept."""
        return folder / f"{self.kind}-{self.name}-{self.salt or 'listed'}.json"


def store(folder: Path, run: Run) -> None:
    """Write one run; interrupted, no half of it is left."""
    text = json.dumps(asdict(run), indent=1, sort_keys=True, allow_nan=False)
    write_atomic(run.path(folder), text + "\n")


def read(folder: Path) -> list[Run]:
    """All runs, by kind, name and salt.

    Raises:
        ValueError: a file that is no run, named.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(Run(**json.loads(path.read_text(encoding="utf-8"))))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} is no run of the gate: {error}. Remove it.") from None
    return sorted(found, key=lambda run: (KINDS.index(run.kind), run.name, run.salt))


def of_results(results: dict[str, Any], **about: Any) -> Run:
    """A run from what ``--initcheck-json`` wrote."""
    claims: dict[str, str] = {}
    arms: dict[str, dict[str, float | None]] = {}
    moved: list[str] = []
    why: dict[str, str] = {}
    for result in results["results"]:
        claims[result["claim"]] = _worse(claims.get(result["claim"]), result["verdict"])
        if result["verdict"] != "pass":
            why.setdefault(result["claim"], _why(result))
        for probe in result["probes"]:
            for arm, drift in _drifts(probe):
                arms.setdefault(result["claim"], {})[arm] = _number(drift.get("r"))
                if _moved(drift):
                    moved.append(f"{result['claim']}: {arm}")
    return Run(**about, claims=claims, why=why, arms=arms, moved=sorted(set(moved)))


def _why(result: dict[str, Any]) -> str:
    """A red claim in one line: what was not green, each once, and why."""
    said = [
        f"{probe['probe']} {probe['verdict']}: {probe['reason']}"
        for probe in result["probes"] if probe["verdict"] != "pass"
    ]  # fmt: skip
    return " | ".join(dict.fromkeys(said)) or str(result.get("message", ""))[:200]


def _worse(one: str | None, other: str) -> str:
    """Of a claim that ran several times, parametrized, any verdict that is not pass."""
    return other if one in (None, "pass") else str(one)


def _drifts(probe: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    case = f" ({probe['case']})" if probe.get("case") else ""
    for side in ("treated", "control"):
        drift = probe.get("drift", {}).get(side)
        if drift:
            yield f"{probe[f'{side}_name']}{case}", drift


def _moved(drift: dict[str, Any]) -> bool:
    if drift.get("mean") is None:
        return False
    return not abs(float(drift["mean"]) - drift["recorded_mean"]) <= drift["allowed"]


def _number(value: object) -> float | None:
    """A results file writes what is not finite as a text."""
    return None if value is None else min(float(str(value)), 1e30)
