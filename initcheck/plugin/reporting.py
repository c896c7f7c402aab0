"""Reports a run: header, table, files and exit code, in the process that reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initcheck.plugin import unmet
from initcheck.plugin.lazy_session import open_session, opened
from initcheck.plugin.lines import colour, say
from initcheck.plugin.trajectories import TRAJECTORIES, Trajectories
from initcheck.results import ClaimResult, NotJudged, Run, from_plain, to_plain

if TYPE_CHECKING:
    from initcheck.plugin.session import Session

PROPERTY = "initcheck"  # the user property that carries a claim's result, also through xdist
REFUSAL = "initcheck_refusal"  # why an xdist worker runs no claim
SELECTED = "initcheck_selected"  # the selected claims of an xdist worker: node id and id
TRIES_INIT = "initcheck_tries_init"  # whether a test in an xdist worker uses initcheck_init


def ship(item: pytest.Function, result: ClaimResult, refused: str = "") -> None:
    """Send a result to the process that reports, with what only this process knows.

    ``refused`` says why its evidence was not written.
    """
    session = open_session(item.config)
    parcel = {
        "result": to_plain(result), "folder": str(session.baselines.folder),
        "place": session.places.get(item.nodeid, 0), "recorded": session.recorded[-1:],
        "refused": refused,
    }  # fmt: skip
    session.recorded.clear()
    item.user_properties.append((PROPERTY, parcel))


class Reporting:
    """Header, table, files and exit code, in the process that reports."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.parcels: list[dict[str, Any]] = []
        self.skipped: dict[str, str] = {}
        self.selected: dict[str, str] = {}  # the claims of this run: node id and id
        self.collected: list[str] = []  # node ids of all tests of xdist's workers
        self.judged: set[str] = set()  # node ids of tests with a result
        self.told = False  # whether a worker of xdist has told which tests are claims
        self.reported: set[str] = set()  # node ids of tests that ran or were skipped
        self.failed: dict[str, str] = {}  # why a test has no result, by node id
        self.troubles: list[str] = []
        self.headed = False
        self.aborted = False
        self.tries_init = False
        self.is_worker = hasattr(config, "workerinput")
        trajectories = config.pluginmanager.get_plugin(TRAJECTORIES)
        assert isinstance(trajectories, Trajectories)  # noqa: S101 -- registered before
        self._trajectories = trajectories

    @property
    def results(self) -> list[ClaimResult]:
        """Every claim's result, in the order of collection, whichever process ran it."""
        parcels = sorted(self.parcels, key=lambda parcel: parcel["place"])
        return [from_plain(parcel["result"]) for parcel in parcels]

    @pytest.hookimpl(optionalhook=True)  # exists only with pytest-benchmark
    def pytest_benchmark_update_machine_info(self, machine_info: dict[str, Any]) -> None:
        """Add torch and the devices, and remove what differs from moment to moment."""
        for key in ("hz_actual", "hz_actual_friendly"):  # pytest-benchmark compares it, and warns
            machine_info.get("cpu", {}).pop(key, None)
        session = opened(self.config)
        if session is not None:
            known = to_plain(session.conditions.environment())
            wanted = ("torch", "devices", "matmul precision", "threads")
            machine_info["initcheck"] = {key: known[key] for key in wanted}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note the selected claims, and whether a test uses --initcheck-init, also in a worker."""
        self.selected = {
            item.nodeid: item.name.removeprefix("test_")
            for item in session.items if item.get_closest_marker("initcheck_claim")
        }  # fmt: skip
        fixtures = {name for item in session.items for name in getattr(item, "fixturenames", ())}
        self.tries_init |= "initcheck_init" in fixtures
        if self.is_worker:
            output = self.config.workeroutput  # type: ignore[attr-defined]
            output[TRIES_INIT], output[SELECTED] = self.tries_init, self.selected

    def pytest_report_collectionfinish(self) -> list[str]:
        """Show the header only if claims were found, so that other test runs never see it."""
        session = opened(self.config)
        if session is None:
            return []
        self.headed = True
        return session.conditions.header()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect each claim's result from the process that ran it."""
        known = hasattr(report, "wasxfail")  # pytest counts it as skipped
        if report.skipped and not known and "initcheck_claim" in report.keywords:
            reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else ""
            self.skipped[report.nodeid] = unmet.reason(str(reason))
        if report.when == "call" or report.skipped:
            self.reported.add(report.nodeid)
        if report.failed and report.when != "teardown":
            self.failed[report.nodeid] = unmet.why_failed(report)
        for name, value in report.user_properties:
            if name == PROPERTY and report.when == "call" and isinstance(value, dict):
                self.parcels.append(value)
                self.judged.add(report.nodeid)

    def pytest_report_teststatus(
        self, report: pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show a failed claim's verdict in place of FAILED; no recorded claim counts as passed."""
        parcel = dict(report.user_properties).get(PROPERTY) if report.when == "call" else None
        if not isinstance(parcel, dict):
            return None
        if report.passed and parcel["recorded"]:
            return "recorded", "R", ("RECORDED", {"yellow": True})
        known = parcel["result"]["known"]
        if report.skipped and known:
            return "known failure", "k", ("KNOWN FAILURE", {"yellow": True})
        if not report.failed:
            return None
        word = "NOT RECORDED" if parcel["refused"] else parcel["result"]["verdict"].upper()
        word = "PASSES, BUT KNOWN TO FAIL" if known and word == "PASS" else word
        return "failed", "F", (word, {"red": True})

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Note the tests that xdist's workers collected; all workers collect the same."""
        self.collected = ids

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Note why an xdist worker refused to run; all workers give the same reason."""
        output = getattr(node, "workeroutput", {})
        self.told |= SELECTED in output
        self.selected |= output.get(SELECTED, {})
        self.tries_init |= output.get(TRIES_INIT, False)
        refusal = output.get(REFUSAL)
        if refusal and refusal not in self.troubles:
            self.troubles.append(refusal)

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, exitstatus: int
    ) -> None:
        """Print the closing table, and what only sentences can say."""
        if self.is_worker:
            return
        for trouble in self.troubles:
            terminalreporter.line(f"ERROR: {trouble}", red=True)
        quiet = self.aborted or self.config.option.collectonly
        session = opened(self.config)
        if session is not None and not quiet:
            self._summarize(terminalreporter, session, int(exitstatus))
        else:
            self._say_skipped(terminalreporter)

    def _say_skipped(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in unmet.skipped([*self.skipped.values()]):
            say(terminalreporter, line)

    def _summarize(
        self, terminalreporter: pytest.TerminalReporter, session: Session, status: int
    ) -> None:
        from initcheck.plugin.notes import closing_notes
        from initcheck.report import terminal

        results, whole = self.results, self._whole(session, status)
        verbose, columns = self.config.option.verbose > 0, terminal.width()
        if not terminal.is_short(whole, verbose=verbose):  # which names them itself
            self._say_skipped(terminalreporter)
        if results:
            terminalreporter.section("claims")
            lines = [] if self.headed else session.conditions.header()
            lines += terminal.ending(whole, verbose=verbose, columns=columns)
            for line in lines:
                terminalreporter.line(line, **colour(line))
        if whole.unfinished:
            say(terminalreporter, whole.unfinished)
        recorded = [claim for parcel in self.parcels for claim in parcel["recorded"]]
        for line in closing_notes(session, results, recorded):
            say(terminalreporter, line)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the files, and let nothing look green that did not run."""
        if self.is_worker or self.config.option.collectonly:
            return
        if self.parcels:
            open_session(self.config).folder = Path(self.parcels[0]["folder"])
        elif not all(
            claim.skipped for claim in self.not_judged()
        ):  # xdist's workers have the sessions; all claims were lost
            open_session(self.config)
        self.aborted = session.exitstatus in (3, 4)  # pytest's own: internal and usage errors
        status = self.exit_status(int(session.exitstatus))
        ours = opened(self.config)
        if ours is not None and not self.aborted:
            trouble = _write(ours, self._whole(ours, status))
            self.troubles += [trouble] if trouble else []
        trouble = self._trajectories.written()
        self.troubles += [trouble] if trouble else []
        if not self.troubles and session.exitstatus in (0, 1, 5):
            self.troubles += unmet.without_effect(
                self.config.option,
                judges=ours is not None,
                tries_init=self.tries_init,
                trains=self._trajectories.used,
            )
        session.exitstatus = self.exit_status(int(session.exitstatus))

    def _whole(self, session: Session, status: int) -> Run:
        return session.conditions.whole(
            self.results, not_judged=self.not_judged(), exit_status=status
        )

    def not_judged(self) -> list[NotJudged]:
        """The selected claims without a result, each with the reason."""
        selected = self.selected
        if not selected and not self.told:  # no xdist worker lived to tell which tests are claims
            lost = [node for node in self.collected if node not in self.reported]
            selected = {node: node.rpartition("::")[2].removeprefix("test_") for node in lost}
        return [
            NotJudged(
                id=name, skipped=node in self.skipped,
                reason=self.skipped.get(node) or self.failed.get(node, "the run ended before it"),
            )
            for node, name in selected.items() if node not in self.judged
        ]  # fmt: skip

    def exit_status(self, status: int) -> int:
        """The status of pytest, unless it would be green without reason.

        4 if a request was not met: no claim ran on a device, a file was not written, an initializer
        was not tried, or all claims were skipped. 2 if the run ended before all claims were judged.
        1 if a verdict other than pass was excused, a
        fault was seeded, or evidence was recorded.
        """
        ours = opened(self.config)
        idle = (
            ours is not None and self._is_meant(ours) and ours.devices_without_claims(self.results)
        )
        none_ran = bool(self.skipped) and not self.parcels
        if status in (0, 5) and (self.troubles or idle or none_ran):
            return int(pytest.ExitCode.USAGE_ERROR)
        if status == 0 and not all(claim.skipped for claim in self.not_judged()):
            return int(pytest.ExitCode.INTERRUPTED)  # pytest.exit(returncode=0)
        excused = any(result.fails for result in self.results)
        never = ours is not None and (ours.settings.record or ours.settings.fault)
        return 1 if status == 0 and (excused or never) else status

    def _is_meant(self, session: Session) -> bool:
        """Whether the requested devices concern this run; a variable also reaches other runs."""
        return self.config.option.initcheck_device is not None or session.folder is not None


def _write(session: Session, whole: Run) -> str:
    """Write the requested files; returns a sentence if one cannot be written."""
    settings = session.settings
    if settings.json is None and settings.html is None:
        return ""
    from initcheck import results as files
    from initcheck.files import write_atomic
    from initcheck.plugin.environment import dated
    from initcheck.report import html

    whole = dated(whole)
    if settings.draws:
        from initcheck.plugin.pictured import with_pictures

        whole = with_pictures(session, whole)
    try:
        if settings.json is not None:
            files.write(settings.json, whole)
        if settings.html is not None:
            write_atomic(settings.html, html.page(whole))
    except (OSError, ValueError) as error:  # ValueError: the schema or the encoding refuses it
        return f"The results were not written: {error}. Name another file."
    return ""
