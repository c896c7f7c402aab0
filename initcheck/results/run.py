"""A whole run as a typed value: where, how, and the result of every claim."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from initcheck.results.types import ClaimResult

SCHEMA = 1
INTERRUPTED = 2  # pytest's exit status
NAMED = 10  # claims that a sentence names


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Versions, machine and devices of a run; ``devices`` as ``devices.describe`` gives them."""

    torch: str
    python: str
    devices: list[Mapping[str, Any]]
    initcheck: str = ""
    torchvision: str = ""
    numpy: str = ""
    scipy: str = ""
    platform: str = ""
    matmul_precision: str = ""
    threads: int = 0


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of a run.

    Attributes:
        baselines: the folder in use; ``baselines_given`` is the one that was requested, if any.
        contract: how often the gate is wrong, in words; None if no claim was collected.
    """

    device: list[str] = field(default_factory=list)
    seeds: int | None = None
    scale: str = "brief"
    engine: str = "ensemble"
    data_root: str | None = None
    download: bool = False
    baselines: str | None = None
    baselines_given: str | None = None
    record: str | None = None
    accept_drift: str | None = None
    require_evidence: bool = False
    init: list[str] = field(default_factory=list)
    activation: str = "relu"
    json: str | None = None
    html: str | None = None
    pictures: bool = False
    profile: bool = False
    judge: str = "all"
    salt: str = ""
    fault: str | None = None
    contract: str | None = None


@dataclass(frozen=True, kw_only=True)
class NotJudged:
    """A selected claim without a result.

    Attributes:
        id: as in ``ClaimResult``.
        reason: why it was not judged, in words.
        skipped: whether it was skipped on purpose, as for data that nobody demanded. Otherwise the
            run is unfinished.
    """

    id: str
    reason: str
    skipped: bool = False


@dataclass(frozen=True, kw_only=True)
class Picture:
    """The table from which a picture of a mechanism is drawn.

    Attributes:
        name: of the picture and its file, such as ``learning_curves``.
        title: one short line.
        text: what it shows, in sentences with numbers; or why it could not be drawn.
        device: on which its arms were trained.
        mechanisms: the groups of claims it belongs to, as ``ClaimResult.mechanism`` names them.
        columns: names of the columns.
        units: of each column; empty where there is none.
        rows: one value per column, rounded to four digits; empty if it could not be drawn.
    """

    name: str
    title: str
    text: str = ""
    device: str = "cpu"
    mechanisms: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    rows: list[list[str | float]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A whole run: where, how, and the result of every claim.

    Attributes:
        exit_status: pytest's; None in files of older releases.
        not_judged: the selected claims without a result.
        date: when it ended, in UTC as ISO 8601 has it; empty in files of older releases.
        commit: of the folder in which it ran, with a plus if that had changes; empty outside git.
        pictures: of the mechanisms whose claims were judged; empty if none were requested.
    """

    environment: Environment
    settings: Settings
    results: list[ClaimResult]
    exit_status: int | None = None
    not_judged: list[NotJudged] = field(default_factory=list)
    date: str = ""
    commit: str = ""
    pictures: list[Picture] = field(default_factory=list)
    schema: int = SCHEMA

    @property
    def unfinished(self) -> str:
        """A sentence that every report shows first; empty if all selected claims were judged."""
        lacking = [claim for claim in self.not_judged if not claim.skipped]
        parts = ["it was interrupted"] if self.exit_status == INTERRUPTED else []
        if lacking:
            every = len(lacking) + len(self.results)
            claims = [f"{claim.id} ({claim.reason})" for claim in lacking[:NAMED]]
            more = ["others"] * (len(lacking) > NAMED)
            parts.append(
                f"{len(lacking)} of {every} claims were not judged: {', '.join(claims + more)}"
            )
        return (
            f"UNFINISHED: this run says less than its verdicts: {'; '.join(parts)}."
            if parts
            else ""
        )
