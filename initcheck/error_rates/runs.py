"""Runs of the gate, one a line: what was run, on what, and what every claim and arm came to."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from initcheck.files import write_atomic
from initcheck.results import ClaimResult, Comparison, Drift

KINDS = ("clean", "innocent", "elsewhere", "fault")
FAR = 1e30  # stands for an infinite distance, which JSON cannot hold


@dataclass(frozen=True)
class Run:
    """One run of the gate.

    Attributes:
        kind: one of ``KINDS``; ``elsewhere`` is another machine's record, judged by ours.
        name: of the change, the processor or the fault; ``suite`` for a clean run.
        salt: of its seeds.
        commit, torch, machine, date: where and when.
        seconds: on the wall.
        claims: verdict of each claim.
        why: of each red claim, the comparisons that were not green, and their reasons.
        arms: r of each arm by claim and parameters, ``claim[parameters]``, the farthest of all
            devices; None where it was not judged, 1e30 for another start.
        moved: arms whose outcomes had moved from their evidence.
        again: claims that changed afterwards and were run again on the same seeds, and the commit.
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
    again: dict[str, str] = field(default_factory=dict)

    @property
    def red(self) -> tuple[str, ...]:
        """Claims that did not pass."""
        return tuple(claim for claim, verdict in self.claims.items() if verdict != "pass")

    def path(self, folder: Path) -> Path:
        """The file it is kept in, with the other runs under the same change or fault."""
        return folder / f"{self.kind}-{self.name}.jsonl"

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells runs apart."""
        return self.kind, self.name, self.salt


def merged(run: Run, part: Run, asked: Collection[str] = ()) -> Run:
    """A run in which some claims, which changed since, were run again on the same seeds.

    Of those asked for, some may not have been reached: what was found of them before is left out.
    """
    new = {*part.claims, *asked}
    still = {arm for arm in run.moved if arm.partition(":")[0] not in new}
    arms = {name: rs for name, rs in run.arms.items() if name.partition("[")[0] not in new}
    return replace(
        run, claims={c: v for c, v in run.claims.items() if c not in new} | part.claims,
        arms=arms | part.arms,
        why={claim: why for claim, why in run.why.items() if claim not in new} | part.why,
        moved=sorted(still | {*part.moved}),
        again=run.again | dict.fromkeys(part.claims, part.commit),
    )  # fmt: skip


def store(folder: Path, run: Run) -> None:
    """Add one run, in place of one with the same salt; interrupted, no half of it is left."""
    path = run.path(folder)
    others = [old for old in _runs(path) if old.key != run.key] if path.exists() else []
    lines = [
        json.dumps(asdict(each), sort_keys=True, allow_nan=False) + "\n"
        for each in in_order([*others, run])
    ]
    write_atomic(path, "".join(lines))


def in_order(runs: Iterable[Run]) -> list[Run]:
    """By kind, name and salt."""
    return sorted(runs, key=_order)


def _order(run: Run) -> tuple[int, str, int, str]:
    """Salts that end in a number, in the order of numbers."""
    return KINDS.index(run.kind), run.name, len(run.salt), run.salt


def read(folder: Path) -> list[Run]:
    """All runs, by kind, name and salt.

    Raises:
        ValueError: a line that is no run, named.
    """
    return in_order(run for path in folder.glob("*.jsonl") for run in _runs(path))


def _runs(path: Path) -> list[Run]:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(Run(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path}, line {number} is no run of the gate: {error}. Remove it."
            ) from None
    return found


def of_results(results: Iterable[ClaimResult], **about: Any) -> Run:
    """A run from the results that ``--initcheck-json`` wrote."""
    claims: dict[str, str] = {}
    arms: dict[str, dict[str, float | None]] = {}
    moved: list[str] = []
    why: dict[str, str] = {}
    for result in results:
        claims[result.claim] = _worse(claims.get(result.claim), result.verdict)
        if result.verdict != "pass":
            why.setdefault(result.claim, _why(result))
        for probe in result.probes:
            for arm, drift in _drifts(probe):
                known = arms.setdefault(result.name, {})
                known[arm] = _farther(known.get(arm), _distance(drift))
                if _moved(drift):
                    moved.append(f"{result.claim}: {arm}")
    return Run(**about, claims=claims, why=why, arms=arms, moved=sorted(set(moved)))


def _farther(one: float | None, other: float | None) -> float | None:
    """The larger of two distances; None, an arm that was not judged, is no distance."""
    known = [r for r in (one, other) if r is not None]
    return max(known, default=None)


def _distance(drift: Drift) -> float | None:
    """The arm's r, at most ``FAR``; an arm with another start has none, and is as far as can be."""
    if drift.verdict in ("changed start", "alike"):
        return FAR
    return None if drift.r is None else min(drift.r, FAR)


def _why(result: ClaimResult) -> str:
    """A red claim in one line: what was not green, each once, and why."""
    reasons = [
        f"{probe.probe} {probe.verdict}: {probe.reason}" for probe in result.red if probe.reason
    ]
    return " | ".join(dict.fromkeys(reasons)) or result.message[:200]


def _worse(one: str | None, other: str) -> str:
    """The verdict of a claim with several sets of parameters: any that is not pass."""
    return other if one in (None, "pass") else str(one)


def _drifts(probe: Comparison) -> Iterable[tuple[str, Drift]]:
    case = f" ({probe.case})" if probe.case else ""
    for side, drift in probe.drift.items():
        yield f"{probe.name(side)}{case}", drift


def _moved(drift: Drift) -> bool:
    if drift.moved is not None:
        return drift.moved
    if drift.mean is None or drift.recorded_mean is None or drift.allowed is None:
        return False
    return not abs(drift.mean - drift.recorded_mean) <= drift.allowed
