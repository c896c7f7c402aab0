"""One pytest session: its devices, baselines and trainer, and the result of every claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import pytest
import torch

from initcheck import devices
from initcheck.baselines.evidence import BaselineError
from initcheck.baselines.folder import Baselines
from initcheck.baselines.place import refuse_installed
from initcheck.claims import claim_of, id_of, node_of, statement_of
from initcheck.devices import compute
from initcheck.gate import jobs
from initcheck.gate import record as recorder
from initcheck.gate.setting import Setting
from initcheck.gate.trainer import Laboratory
from initcheck.gate.verdict import Verdict
from initcheck.initializers import Initializer, InitializerError, user
from initcheck.plugin import check_baselines, plan, prefetch
from initcheck.plugin.environment import Conditions
from initcheck.plugin.known import KnownFailure, excused, read_known
from initcheck.plugin.options import Settings
from initcheck.plugin.prefetch import Prefetch
from initcheck.plugin.progress import Progress
from initcheck.plugin.starts import SecondProcess
from initcheck.results import ClaimResult


@dataclass
class Session:
    """Opened by the plugin when a claim, or a requested device, first needs torch."""

    settings: Settings
    devices: tuple[str, ...]
    laboratory: Laboratory
    threads: int
    root: Path
    progress: Progress
    initializers: tuple[Initializer, ...] = ()
    folder: Path | None = None
    recorded: list[str] = field(default_factory=list)
    places: dict[str, int] = field(
        default_factory=dict
    )  # each claim's position in the order of collection
    expected: dict[str, set[str]] = field(default_factory=dict)  # claim: ids of all its tests
    ran: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # claim, device: ids
    used: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # claim, device: probes
    planned: dict[str, Verdict] = field(default_factory=dict)  # by node id
    prefetches: list[Prefetch] = field(default_factory=list)  # one per device
    second_process: SecondProcess | None = None  # builds the starts again, for recording

    @classmethod
    def open(cls, settings: Settings, config: pytest.Config) -> Session:
        """Find the devices and set the arithmetic.

        Raises:
            pytest.UsageError: a requested device is missing or cannot compute, or an initializer
                cannot be imported (exit 4).
        """
        threads = _share(config, settings.device)
        try:
            found = devices.require(settings.device)
            if settings.engine == "replay":
                devices.require_recording(found)
            named = user.import_initializers(settings.init, config.invocation_params.dir)
        except (devices.DeviceError, InitializerError) as error:
            raise pytest.UsageError(str(error)) from None
        compute.use_ieee_float32()
        compute.keep_freed_memory()
        progress = Progress(config)
        laboratory = Laboratory(
            engine=settings.engine, jobs=threads, root=settings.data_root,
            download=settings.download, progress=progress,
        )  # fmt: skip
        return cls(
            settings, found, laboratory, threads, config.rootpath, progress, named,
            second_process=SecondProcess.like(config),
        )  # fmt: skip

    # --- baselines ------------------------------------------------------------------------------

    def check_collected(self, claims: Sequence[pytest.Item], *, all_ids: bool) -> None:
        """Find the baselines and check them against all claims of the collected files.

        Raises:
            pytest.UsageError: unusable baselines, a limit or evidence that no claim uses, or a
                recording into an installed package.
        """
        all_ids = all_ids and not self.initializers
        self.places = {item.nodeid: place for place, item in enumerate(claims)}
        self.expected = {claim_of(item): set[str]() for item in claims}
        for item in claims:
            self.expected[claim_of(item)].add(id_of(item))
        if not all_ids:  # other parameters of a claim are unknown, unless it has none
            self.expected = {c: ids if ids == {c} else set() for c, ids in self.expected.items()}
        try:
            self.folder = self.settings.baselines or check_baselines.only_folder_of(
                claims, self.root
            )
            if self.settings.record is not None:
                refuse_installed(self.baselines.folder)
            check_baselines.check(self.baselines, claims, all_ids=all_ids)
        except BaselineError as error:
            self.folder = None
            raise pytest.UsageError(str(error)) from None

    @cached_property
    def baselines(self) -> Baselines:
        """The baselines in use, known once claims are collected."""
        return Baselines(self.folder or self.settings.baselines or self.root / "baselines")

    @property
    def conditions(self) -> Conditions:
        """What the header and the results file say of this run."""
        return Conditions(
            self.settings, self.devices, self.threads, self.baselines, judging=bool(self.folder)
        )

    def devices_without_claims(self, results: Sequence[ClaimResult]) -> list[str]:
        """Requested devices on which no claim ran."""
        ran = {result.device for result in results}
        return [name for name in self.devices if self.settings.demanded and name not in ran]

    def plan(self, items: Sequence[pytest.Item]) -> None:
        """Call the claims' tests and start training their arms, unless evidence is recorded."""
        if self.settings.record is not None:
            return
        for device in self.devices:
            verdicts = self.declared(items, device)
            self.planned |= verdicts
            started = prefetch.start(
                self.laboratory, jobs.jobs(verdicts.values()), device, self.threads
            )
            self.prefetches.append(started)
            for verdict in verdicts.values():
                verdict.prefetched = started.measured

    def declared(self, items: Sequence[pytest.Item], device: str) -> dict[str, Verdict]:
        """By node id, the verdicts of a device's claims that could be called before their turn."""
        verdicts = {
            item.nodeid: (item, self._verdict(item, device))
            for item in items if _device(item) == device
        }  # fmt: skip
        return {
            node: verdict for node, (item, verdict) in verdicts.items()
            if plan.call_before_its_turn(item, verdict)
        }  # fmt: skip

    def jobs_of(self, items: Sequence[pytest.Item], device: str) -> list[jobs.Job]:
        """What worker processes train for the claims among these tests, on one device."""
        return jobs.jobs(self.declared(items, device).values())

    def close(self) -> None:
        """Stop what is still training."""
        for each in self.prefetches:
            each.close()

    # --- one claim ------------------------------------------------------------------------------

    def verdict(self, item: pytest.Item, device: str) -> Verdict:
        """The fixture of one claim on one device."""
        return self.planned.pop(item.nodeid, None) or self._verdict(item, device)

    def _verdict(self, item: pytest.Item, device: str) -> Verdict:
        setting = Setting(
            count=self.settings.seeds, salt=self.settings.salt,
            require_evidence=self.settings.require_evidence, recording=self.settings.record,
            scale=self.settings.scale, judge=self.settings.judge,
        )  # fmt: skip
        mark = next(item.iter_markers("initcheck_claim"))
        return Verdict(
            claim=claim_of(item), claim_id=id_of(item), device=device,
            kind=mark.kwargs["kind"], laboratory=self.laboratory, baselines=self.baselines,
            setting=setting, fixed_count=mark.kwargs.get("seeds"),
        )  # fmt: skip

    def result(
        self, item: pytest.Function, verdict: Verdict | None, seconds: float,
        crash: BaseException | None = None,
    ) -> ClaimResult:  # fmt: skip
        """The claim's entry in the results file, with its failure message."""
        trouble = f"{type(crash).__name__}: {crash}" if crash else self._trouble(verdict)
        return self._entry(item, verdict, seconds, trouble, crashed=crash is not None)

    def unfinished(
        self, item: pytest.Function, verdict: Verdict | None, seconds: float, crash: BaseException
    ) -> ClaimResult | None:
        """The result of a skipped claim if one of its comparisons is not green, else None."""
        why = str(crash)
        # the comparison that lacks its data has the same reason, and was not judged
        judged = [probe for probe in verdict.probes if probe.reason != why] if verdict else []
        red = [place for place, probe in enumerate(judged) if probe.verdict != "pass"]
        if verdict is None or not red:
            return None
        last = judged[red[-1]]
        reason = "; ".join(filter(None, [last.reason, f"then skipped: {why}"]))
        judged[red[-1]] = replace(last, reason=reason)
        return self._entry(item, replace(verdict, probes=judged), seconds)

    def _entry(
        self, item: pytest.Function, verdict: Verdict | None, seconds: float, trouble: str = "",
        *, crashed: bool = False,
    ) -> ClaimResult:  # fmt: skip
        from initcheck.report import failure

        mark = next(item.iter_markers("initcheck_claim"))
        result = ClaimResult(
            claim=claim_of(item), id=item.name.removeprefix("test_"),
            node=node_of(item),
            device=verdict.device if verdict else "none",
            kind=mark.kwargs["kind"], source=mark.kwargs["source"],
            statement=statement_of(item.function)[0],
            verdict="invalid" if trouble or verdict is None else verdict.summary(),
            seconds=seconds, probes=verdict.probes if verdict else [], message=trouble,
        )  # fmt: skip
        if not crashed and result.verdict != "pass":
            message = failure.failure(result, self.conditions.shown_settings())
            result = replace(result, message=message)
        return excused(result, self.known, torch.__version__)

    @cached_property
    def known(self) -> tuple[KnownFailure, ...]:
        """The known failures, unless this run is no complete judgement of the packaged claims."""
        settings = self.settings
        changed = settings.record is not None or settings.fault is not None or settings.init
        return () if changed or settings.judge != "all" else read_known(self.baselines.folder)

    def _trouble(self, verdict: Verdict | None) -> str:
        """What is wrong with a claim that ran to its end, apart from its comparisons."""
        if verdict is None or not verdict.pairs:
            return "It judged nothing. Use the fixture 'verdict' and call its holds, gains or rate."
        claim, device = verdict.claim, verdict.device
        used = verdict.skipped.union(pair.name for pair in verdict.pairs)
        self.used.setdefault((claim, device), set()).update(used)
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

    def record(self, verdict: Verdict, result: ClaimResult) -> str:
        """Write a claim's evidence if the claim holds; returns a sentence if that is refused."""
        if self.settings.record is None or result.verdict not in ("pass", "drifted"):
            return ""
        try:
            starts = self.second_process.starts if self.second_process else None
            recorder.record(verdict, self.settings.record, self.settings.accept_drift, starts)
        except (BaselineError, OSError) as error:
            return f"The evidence of {verdict.claim_id} was not written: {error}"
        self.recorded.append(verdict.claim_id)
        return ""


def _device(item: pytest.Item) -> str:
    """The device of a claim's test, or an empty text for a test that is no claim."""
    if item.get_closest_marker("initcheck_claim") is None:
        return ""
    device: str = getattr(getattr(item, "callspec", None), "params", {}).get("initcheck_device", "")
    return device


def _share(config: pytest.Config, names: Sequence[str]) -> int:
    """Take this process's share of the machine: threads, and one accelerator among several.

    Not if a device is named by index: hiding the others would renumber it.
    """
    threads = _threads(config)
    worker = getattr(config, "workerinput", {}).get("workerid", "")
    if worker:
        torch.set_num_threads(threads)  # starts and probes compute outside of training too
        if not any(":" in name for name in names):
            devices.show_one_accelerator(int(worker.removeprefix("gw")))
    return threads


def _threads(config: pytest.Config) -> int:
    """Threads for training: the machine's, divided among xdist's workers."""
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    return max(1, torch.get_num_threads() // workers)
