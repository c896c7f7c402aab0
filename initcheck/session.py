"""One pytest session: its devices, baselines and laboratory, and what became of every claim."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import pytest
import torch

from initcheck import ahead, arithmetic, asked, collected, devices, gate, recording
from initcheck.ahead import Ahead, Rehearsal
from initcheck.baselines import BaselineError, Baselines
from initcheck.evidence import write_atomic
from initcheck.initializers import Initializer, InitializerError
from initcheck.laboratory import Laboratory
from initcheck.progress import Progress
from initcheck.settings import Settings
from initcheck.verdict import Setting, Verdict

Result = dict[str, Any]
V = TypeVar("V", bound=Verdict)


@dataclass
class Session:
    """What the plugin opens when a claim, or a demanded device, first needs torch."""

    settings: Settings
    devices: tuple[str, ...]
    laboratory: Laboratory
    threads: int
    root: Path
    progress: Progress
    initializers: tuple[Initializer, ...] = ()
    folder: Path | None = None
    recorded: list[str] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)  # of each claim's test, as collected
    expected: dict[str, set[str]] = field(default_factory=dict)  # claim: ids of all its tests
    ran: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # claim, device: ids
    used: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # claim, device: probes
    ahead: Ahead | None = None

    @classmethod
    def open(cls, settings: Settings, config: pytest.Config) -> Session:
        """Find the devices and set the arithmetic.

        Raises:
            pytest.UsageError: a demanded device is missing or cannot compute, or an initializer
                cannot be imported (exit 4).
        """
        try:
            found = devices.require(settings.device)
            named = asked.initializers(settings.init, config.invocation_params.dir)
        except (devices.DeviceError, InitializerError) as error:
            raise pytest.UsageError(str(error)) from None
        arithmetic.use_ieee_float32()
        arithmetic.keep_freed_memory()
        threads = _threads(config)
        progress = Progress(config)
        laboratory = Laboratory(
            engine=settings.engine, jobs=threads, root=settings.data_root,
            download=settings.download, progress=progress,
        )  # fmt: skip
        return cls(settings, found, laboratory, threads, config.rootpath, progress, named)

    # --- baselines ------------------------------------------------------------------------------

    def check_collected(self, claims: Sequence[pytest.Item], *, all_ids: bool) -> None:
        """Find the baselines and hold them against all claims of the collected files.

        Raises:
            pytest.UsageError: unusable baselines, or a limit or evidence that no claim uses.
        """
        self.folder = self.settings.baselines or collected.folder_of(claims, self.root)
        all_ids = all_ids and not self.initializers
        self.places = {item.nodeid: place for place, item in enumerate(claims)}
        self.expected = {collected.claim_of(item): set[str]() for item in claims}
        for item in claims:
            self.expected[collected.claim_of(item)].add(collected.id_of(item))
        if not all_ids:  # who else there is remains unknown, except where there is only one
            self.expected = {c: ids if ids == {c} else set() for c, ids in self.expected.items()}
        try:
            collected.check(self.baselines, claims, all_ids=all_ids)
        except BaselineError as error:
            self.folder = None
            raise pytest.UsageError(str(error)) from None

    @cached_property
    def baselines(self) -> Baselines:
        """The baselines in use, once claims were collected."""
        return Baselines(self.folder or self.settings.baselines or self.root / "baselines")

    def train_ahead(self, items: Sequence[pytest.Item]) -> None:
        """Send for what these tests will ask the CPU for, unless evidence is recorded."""
        if self.settings.record is None:
            alone = self.laboratory.alone()
            rehearsals = [
                (item, self._verdict(Rehearsal, item, device, alone))
                for item in items for device in [_device(item)] if device == "cpu"
            ]  # fmt: skip
            self.ahead = ahead.send(rehearsals, self.laboratory, self.threads)

    def close(self) -> None:
        """Stop what still trains."""
        if self.ahead is not None:
            self.ahead.close()

    # --- one claim ------------------------------------------------------------------------------

    def verdict(self, item: pytest.Item, device: str) -> Verdict:
        """The fixture of one claim on one device."""
        made = self._verdict(Verdict, item, device, self.laboratory)
        return made if self.ahead is None else replace(made, ahead=self.ahead.known)

    def _verdict(self, kind: type[V], item: pytest.Item, device: str, laboratory: Laboratory) -> V:
        setting = Setting(
            count=self.settings.seeds, salt=self.settings.salt,
            require_evidence=self.settings.require_evidence, recording=self.settings.record,
            scale=self.settings.scale,
        )  # fmt: skip
        mark = next(item.iter_markers("initcheck_claim"))
        return kind(
            claim=collected.claim_of(item), claim_id=collected.id_of(item), device=device,
            kind=mark.kwargs["kind"], laboratory=laboratory, baselines=self.baselines,
            setting=setting,
        )  # fmt: skip

    def result(
        self, item: pytest.Function, verdict: Verdict | None, seconds: float,
        crash: BaseException | None = None,
    ) -> Result:  # fmt: skip
        """The claim's entry in the results file, with its failure message."""
        trouble = f"{type(crash).__name__}: {crash}" if crash else self._trouble(verdict)
        return self._entry(item, verdict, seconds, trouble, crashed=crash is not None)

    def unfinished(
        self, item: pytest.Function, verdict: Verdict | None, seconds: float, crash: BaseException
    ) -> Result | None:
        """The entry of a claim that is skipped though a comparison is not green; else None."""
        why = str(crash)
        # the comparison that lacks its data gives the same reason, and was not judged
        judged = [entry for entry in verdict.probes if entry["reason"] != why] if verdict else []
        red = [entry for entry in judged if entry["verdict"] != "pass"]
        if verdict is None or not red:
            return None
        red[-1]["reason"] = "; ".join(filter(None, [red[-1]["reason"], f"then skipped: {why}"]))
        return self._entry(item, replace(verdict, probes=judged), seconds)

    def _entry(
        self, item: pytest.Function, verdict: Verdict | None, seconds: float, trouble: str = "",
        *, crashed: bool = False,
    ) -> Result:  # fmt: skip
        from initcheck.report import message

        mark = next(item.iter_markers("initcheck_claim"))
        found: Result = {
            "claim": collected.claim_of(item), "id": item.name.removeprefix("test_"),
            "node": collected.node_of(item),
            "device": verdict.device if verdict else "none",
            "kind": mark.kwargs["kind"], "source": mark.kwargs["source"],
            "statement": " ".join((item.function.__doc__ or "").split()),
            "verdict": "invalid" if trouble or verdict is None else verdict.summary(),
            "seconds": seconds, "probes": verdict.probes if verdict else [], "message": trouble,
        }  # fmt: skip
        if not crashed and found["verdict"] != "pass":
            found["message"] = message.failure(found, self.shown_settings())
        return found

    def _trouble(self, verdict: Verdict | None) -> str:
        """What is wrong with a claim that ran to its end, whatever its comparisons say."""
        if verdict is None or not verdict.pairs:
            return "It judged nothing. Ask for 'verdict' and call its holds, gains or rate."
        claim, device = verdict.claim, verdict.device
        self.used.setdefault((claim, device), set()).update(pair.name for pair in verdict.pairs)
        ran = self.ran.setdefault((claim, device), set())
        ran.add(verdict.claim_id)
        if ran != self.expected.get(claim):
            return ""
        unused = sorted(set(self.baselines.limits.get(claim, ())) - self.used[claim, device])
        where = self.baselines.folder / "limits.toml"
        return "; ".join(
            f"the limit [{claim}.{probe}] in {where} was not used by the claim: remove it, or "
            "judge that probe" for probe in unused
        )  # fmt: skip

    def record(self, verdict: Verdict, result: Result) -> str:
        """Write a claim's evidence, unless it does not hold; a refusal comes back in words."""
        if self.settings.record is None or result["verdict"] not in ("pass", "drifted"):
            return ""
        try:
            recording.record(verdict, self.settings.record, self.settings.accept_drift)
        except (BaselineError, OSError) as error:
            return f"The evidence of {verdict.claim_id} was not written: {error}"
        self.recorded.append(verdict.claim_id)
        return ""

    # --- what the run says ----------------------------------------------------------------------

    def contract(self) -> str:
        """The false-alarm contract of this run."""
        m = self.baselines.registered
        alpha = gate.split(m)
        return (
            f"false alarms: at most {gate.SUITE_FALSE_ALARMS:.0%} of runs on unchanged code, split "
            f"over {m} registered comparisons ({alpha:.1e} each, two stages of {alpha**0.5:.1e})"
        )

    def header(self) -> list[str]:
        """torch, devices, threads, precision, baselines and the contract."""
        from initcheck.report import terminal

        settings = self.shown_settings()
        return terminal.header(self.environment(), settings, settings["contract"])

    def environment(self) -> dict[str, Any]:
        """Versions, machine and devices, as the results file gives them."""
        versions = {name: _version(name) for name in ("torch", "torchvision", "numpy", "scipy")}
        return versions | {
            "python": platform.python_version(), "platform": platform.platform(),
            "devices": [devices.describe(name) for name in self.devices],
            "matmul precision": arithmetic.matmul_precision(), "threads": self.threads,
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
            "contract": self.contract() if self.folder else None,
        }  # fmt: skip

    def whole(self, results: Sequence[Result]) -> dict[str, Any]:
        """The results file."""
        return {
            "schema": 1, "environment": self.environment(), "settings": self.shown_settings(),
            "results": list(results),
        }  # fmt: skip

    def write(self, results: Sequence[Result]) -> str:
        """The files that were asked for; a file that cannot be written comes back in words."""
        from initcheck.report import html
        from initcheck.report import results as files

        try:
            if self.settings.json is not None:
                files.write(self.settings.json, self.whole(results))
            if self.settings.html is not None:
                write_atomic(self.settings.html, html.page(self.whole(results)))
        except (OSError, ValueError) as error:  # ValueError: what neither schema nor encoding takes
            return f"The results were not written: {error}. Name another file."
        return ""

    def idle(self, results: Sequence[Result]) -> list[str]:
        """Demanded devices on which no claim ran."""
        ran = {result["device"] for result in results}
        return [name for name in self.devices if self.settings.demanded and name not in ran]

    def last_words(self, results: Sequence[Result], recorded: Sequence[str]) -> list[str]:
        """Sentences about what did not run, or was written instead of judged."""
        said = [
            f"{name} was demanded and no claim ran on it: all were skipped or deselected, so this "
            "run is not green. Widen the selection, or leave the device out."
            for name in self.idle(results)
        ]
        for state, words in SAID_OF.items():
            names = dict.fromkeys(r["id"] for r in results if _has_drift(r, state))
            if names:
                said.append(f"{words}: {', '.join(names)}")
        if self.settings.record is not None:
            said.append(
                f"Evidence of {len(recorded)} claims was written below "
                f"{self.baselines.folder / 'evidence'}; a run that records does not pass. Review "
                "the difference, then run again without --initcheck-record."
            )
        if self.settings.profile:
            said += self.laboratory.profile.lines()
        if self.settings.fault is not None:
            said.append(self._fate(self.settings.fault, results))
        return said

    def _fate(self, fault: str, results: Sequence[Result]) -> str:
        """Who caught a seeded fault, and who should have."""
        from initcheck import faults

        red = dict.fromkeys(r["claim"] for r in results if r["verdict"] != "pass")
        bound = faults.bound(self.baselines.limits)[fault]
        blind = [r["claim"] for r in results if r["claim"] in bound and r["claim"] not in red]
        if not red:
            return f"fault {fault} survived: no claim that ran went red."
        said = f"fault {fault} was caught by {', '.join(red)}"
        return f"{said}; bound to it and still green: {', '.join(blind)}." if blind else f"{said}."


def _device(item: pytest.Item) -> str:
    """The device of a claim's test, or nothing for a test that is no claim."""
    if item.get_closest_marker("initcheck_claim") is None:
        return ""
    device: str = getattr(getattr(item, "callspec", None), "params", {}).get("initcheck_device", "")
    return device


SAID_OF = {
    "no evidence": "no evidence yet, so only their limits were judged",
    "stale": "stale evidence, treated as missing; record it again",
    "other start": (
        "arms that start elsewhere than under the recorded torch, so that no trajectory could be "
        "followed and outcomes alone were compared, where 64 of them are recorded"
    ),
}


def _has_drift(result: Result, state: str) -> bool:
    return any(
        drift.get("verdict") == state
        for probe in result["probes"]
        for drift in (probe["drift"] or {}).values()
    )


def _threads(config: pytest.Config) -> int:
    """Threads for training: the machine's, shared among xdist's workers."""
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    return max(1, torch.get_num_threads() // workers)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
