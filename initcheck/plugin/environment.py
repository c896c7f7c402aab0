"""Under which conditions a run judges: versions, devices, settings and the contract."""

from __future__ import annotations

import datetime as dt
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path

from initcheck import devices, results
from initcheck.baselines.folder import Baselines
from initcheck.devices import compute
from initcheck.gate.record import commit
from initcheck.plugin.options import Settings
from initcheck.report import terminal
from initcheck.results import ClaimResult, Environment, NotJudged, Run


@dataclass(frozen=True)
class Conditions:
    """What the header of a run shows and its results file keeps.

    Attributes:
        settings: as requested.
        devices: those that are used.
        threads: how many torch trains with.
        baselines: those in use.
        judging: whether claims were collected; without them there is no contract.
    """

    settings: Settings
    devices: tuple[str, ...]
    threads: int
    baselines: Baselines
    judging: bool

    def header(self) -> list[str]:
        """torch, devices, threads, precision, baselines and the contract."""
        settings = self.shown_settings()
        return terminal.header(
            self.environment(), settings, settings.contract, columns=terminal.width()
        )

    def environment(self) -> Environment:
        """Versions, machine and devices."""
        return Environment(
            initcheck=_version("initcheck"),
            torch=_version("torch"), torchvision=_version("torchvision"),
            numpy=_version("numpy"), scipy=_version("scipy"),
            python=platform.python_version(), platform=platform.platform(),
            devices=[devices.describe(name) for name in self.devices],
            matmul_precision=compute.matmul_precision(), threads=self.threads,
        )  # fmt: skip

    def shown_settings(self) -> results.Settings:
        """The settings, with the baselines in use and the devices that were found."""
        given = {
            key: str(value) if isinstance(value, Path) else value
            for key, value in asdict(self.settings).items()
            if key not in {"model", "batch", "start", "allow"}  # an inspection is no claim
        }
        return results.Settings(**given | {
            "baselines_given": given["baselines"], "baselines": str(self.baselines.folder),
            "pictures": self.settings.draws,
            "device": list(self.devices), "init": list(self.settings.init),
            "contract": self.baselines.contract() if self.judging else None,
        })  # fmt: skip

    def whole(
        self, claims: Sequence[ClaimResult], *, not_judged: Sequence[NotJudged] = (),
        exit_status: int | None = None,
    ) -> Run:  # fmt: skip
        """The run, as the results file has it."""
        return Run(
            environment=self.environment(), settings=self.shown_settings(), results=list(claims),
            not_judged=list(not_judged), exit_status=exit_status,
        )  # fmt: skip


def dated(run: Run) -> Run:
    """The run with the time that it is now, and the commit of the current folder."""
    now = dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds")
    return replace(run, date=now, commit=commit())


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
