"""Stored runs of the gate: one line of JSON per run, one file per kind and change or fault."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from initcheck.files import write_atomic
from initcheck.results import ClaimResult, Comparison, Drift, Verdict

KINDS = ("clean", "innocent", "elsewhere", "fault")
FAR = 1e30  # stands for an infinite distance, which JSON cannot hold
#: What caught a fault: a limit counts before the record, and the record before what is not judged.
_CAUGHT: tuple[Verdict, ...] = ("pass", "inconclusive", "invalid", "drifted", "refuted")


@dataclass(frozen=True)
class Run:
    """One run of the gate.

    Attributes:
        kind: one of ``KINDS``; ``elsewhere`` is another machine's evidence, judged by ours.
        name: name of the change, the machine or the fault; ``suite`` for a clean run.
        salt: ``--initcheck-salt`` of the run, from which its seeds are drawn.
        commit, torch, machine, date: what was run, where and when.
        seconds: wall-clock time.
        fingerprint: of what decided the run; empty for innocent changes.
        exit: pytest's exit code, negative for a signal; None if the run was interrupted or did not
            end, and for runs that were stored without it.
        interruptions: how often it was interrupted before it ended.
        number, way: of a clean run, its number and the way in which it was made.
        green: how many claims passed, with each set of parameters counted.
        claims: verdict of each claim; in a clean run, only of those that are not green.
        verdicts: as ``claims``, with parameters. A claim that left its limit is ``refuted`` here,
            whatever else happened to it; one that only left its record is ``drifted``.
        why: for each red claim, the comparisons that were not green and their reasons.
        arms: largest r of each arm over all devices, by ``claim[parameters]``; None if it was not
            judged, 1e30 if its start is not the recorded one.
        losses: the same of the arms' losses alone, without their tensors; empty in old runs.
        moved: arms whose outcomes moved away from their evidence.
        again: claims that changed later and were run again on the same seeds, with the commit.
    """

    kind: str
    name: str
    salt: str
    commit: str = ""
    torch: str = ""
    machine: str = ""
    date: str = ""
    seconds: float = 0.0
    fingerprint: str = ""
    exit: int | None = None
    interruptions: int = 0
    number: int | None = None
    way: dict[str, str] = field(default_factory=dict)
    green: int = 0
    claims: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, str] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    arms: dict[str, dict[str, float | None]] = field(default_factory=dict)
    losses: dict[str, dict[str, float | None]] = field(default_factory=dict)
    moved: list[str] = field(default_factory=list)
    again: dict[str, str] = field(default_factory=dict)

    @property
    def red(self) -> tuple[str, ...]:
        """The claims that did not pass."""
        return tuple(claim for claim, verdict in self.claims.items() if verdict != "pass")

    def path(self, folder: Path) -> Path:
        """Its file in ``folder``, shared with the other runs under the same change or fault."""
        return folder / f"{self.kind}-{self.name}.jsonl"

    @property
    def key(self) -> tuple[str, str, str]:
        """Kind, name and salt, which identify a run."""
        return self.kind, self.name, self.salt


def merged(run: Run, part: Run, requested: Collection[str] = ()) -> Run:
    """The run with the results of ``part``, in which changed claims ran again on the same seeds.

    Old results of ``requested`` claims are dropped even if ``part`` ended before it reached them.
    """
    new = {*part.claims, *requested}
    kept_moved = {arm for arm in run.moved if arm.partition(":")[0] not in new}
    arms, losses = (
        {name: rs for name, rs in each.items() if name.partition("[")[0] not in new}
        for each in (run.arms, run.losses)
    )
    return replace(
        run, claims={c: v for c, v in run.claims.items() if c not in new} | part.claims,
        arms=arms | part.arms, losses=losses | part.losses,
        why={claim: why for claim, why in run.why.items() if claim not in new} | part.why,
        moved=sorted(kept_moved | {*part.moved}),
        again=run.again | dict.fromkeys(part.claims, part.commit),
    )  # fmt: skip


def store(folder: Path, run: Run) -> None:
    """Write one run into its file, replacing one with the same key; the file is written whole."""
    path = run.path(folder)
    others = [old for old in _runs(path) if old.key != run.key] if path.exists() else []
    lines = [
        json.dumps(asdict(each), sort_keys=True, allow_nan=False) + "\n"
        for each in in_order([*others, run])
    ]
    write_atomic(path, "".join(lines))


def in_order(runs: Iterable[Run]) -> list[Run]:
    """The runs by kind, name and salt."""
    return sorted(runs, key=_order)


def _order(run: Run) -> tuple[int, str, int, str]:
    """Sort key; shorter salts come first, so that x-2 precedes x-10."""
    return KINDS.index(run.kind), run.name, len(run.salt), run.salt


def read(folder: Path) -> list[Run]:
    """All stored runs, by kind, name and salt.

    Raises:
        ValueError: a line is not a run; the message names it.
    """
    return in_order(run for path in folder.glob("*.jsonl") for run in _runs(path))


def _runs(path: Path) -> list[Run]:
    lines = path.read_text(encoding="utf-8").splitlines()
    runs = []
    for number, line in enumerate(lines, start=1):
        try:
            runs.append(Run(**json.loads(line)))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path}, line {number} is not a run of the gate: {error}. Remove the line."
            ) from None
    return runs


def from_results(results: Iterable[ClaimResult], **about: Any) -> Run:
    """A run from the results that ``--initcheck-json`` wrote; ``about`` sets its other fields."""
    claims: dict[str, str] = {}
    arms: dict[str, dict[str, float | None]] = {}
    losses: dict[str, dict[str, float | None]] = {}
    verdicts: dict[str, str] = {}
    moved: list[str] = []
    why: dict[str, str] = {}
    green = 0
    for result in results:
        green += result.verdict == "pass"
        verdicts[result.name] = _caught(verdicts.get(result.name), result)
        claims[result.claim] = _worse(claims.get(result.claim), result.verdict)
        if result.verdict != "pass":
            why.setdefault(result.claim, _why(result))
        for probe in result.probes:
            for arm, drift in _drifts(probe):
                for table, r in ((arms, drift.r), (losses, drift.loss_r)):
                    distances = table.setdefault(result.name, {})
                    distances[arm] = _larger(distances.get(arm), _distance(drift, r))
                if _moved(drift):
                    moved.append(f"{result.claim}: {arm}")
    measured = {
        "claims": claims, "verdicts": verdicts, "green": green, "why": why, "arms": arms,
        "losses": losses, "moved": sorted(set(moved)),
    }  # fmt: skip
    return Run(**(about | measured))


def only_red(run: Run) -> Run:
    """The run without the claims that passed, of whose arms it keeps only the farthest of all.

    Hundreds of whole runs are stored, and what passed is the same in each of them.
    """
    verdicts = {name: verdict for name, verdict in run.verdicts.items() if verdict != "pass"}
    arms = {name: arms for name, arms in run.arms.items() if name in verdicts}
    distances = [
        (r, name, arm) for name, each in run.arms.items() for arm, r in each.items()
        if r is not None
    ]  # fmt: skip
    if distances:
        r, name, arm = max(distances)
        arms.setdefault(name, {arm: r})
    claims = {claim: run.claims[claim] for claim in run.red}
    return replace(run, claims=claims, verdicts=verdicts, arms=arms, losses={})


def _caught(before: str | None, result: ClaimResult) -> Verdict:
    """What turned a claim red: the verdict of its comparisons that says most, over all devices."""
    verdicts = {result.verdict, *(probe.verdict for probe in result.probes)}
    return max((v for v in _CAUGHT if v in verdicts or v == before), key=_CAUGHT.index)


def _larger(one: float | None, other: float | None) -> float | None:
    """The larger of two distances; None is ignored."""
    return max((r for r in (one, other) if r is not None), default=None)


def _distance(drift: Drift, r: float | None) -> float | None:
    """One of the arm's r, at most ``FAR``; ``FAR`` if its start is not the recorded one."""
    if drift.verdict in ("changed start", "alike"):
        return FAR
    return None if r is None else min(r, FAR)


def _why(result: ClaimResult) -> str:
    """One line with each comparison of the claim that was not green, and its reason."""
    reasons = [
        f"{probe.probe} {probe.verdict}: {probe.reason}" for probe in result.red if probe.reason
    ]
    return " | ".join(dict.fromkeys(reasons)) or result.message[:200]


def _worse(one: str | None, other: str) -> str:
    """The verdict of a parametrized claim so far: the last one that is not pass."""
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
