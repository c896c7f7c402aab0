"""Under which conditions a run judges: versions, devices, settings and the contract."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from initcheck import devices
from initcheck.baselines.folder import Baselines
from initcheck.devices import compute
from initcheck.plugin.options import Settings
from initcheck.report import terminal
from initcheck.stats import decisions


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

    def contract(self) -> str:
        """The false-alarm contract of this run."""
        m = self.baselines.registered
        alpha = decisions.split(m)
        return (
            f"false alarms: at most {decisions.SUITE_FALSE_ALARMS:.0%} of runs on unchanged code, "
            f"split over {m} registered comparisons ({alpha:.1e} each, two stages of "
            f"{alpha**0.5:.1e})"
        )

    def header(self) -> list[str]:
        """torch, devices, threads, precision, baselines and the contract."""
        settings = self.shown_settings()
        return terminal.header(self.environment(), settings, settings["contract"])

    def environment(self) -> dict[str, Any]:
        """Versions, machine and devices, as the results file gives them."""
        versions = {name: _version(name) for name in ("torch", "torchvision", "numpy", "scipy")}
        return versions | {
            "python": platform.python_version(), "platform": platform.platform(),
            "devices": [devices.describe(name) for name in self.devices],
            "matmul precision": compute.matmul_precision(), "threads": self.threads,
        }  # fmt: skip

    def shown_settings(self) -> dict[str, Any]:
        """The settings, as the results file gives them."""
        shown = {
            key: str(value) if isinstance(value, Path) else value
            for key, value in asdict(self.settings).items()
        }
        return shown | {
            "baselines_given": shown["baselines"], "baselines": str(self.baselines.folder),
            "device": list(self.devices),
            "contract": self.contract() if self.judging else None,
        }  # fmt: skip

    def whole(self, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The results file."""
        return {
            "schema": 1, "environment": self.environment(), "settings": self.shown_settings(),
            "results": list(results),
        }  # fmt: skip


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
