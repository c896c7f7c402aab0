"""The pytest plugin: options, devices, guards, results; torch comes only when a claim runs."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initcheck.settings import OPTIONS, Settings

if TYPE_CHECKING:
    from initcheck.initializers import Initializer
    from initcheck.session import Session
    from initcheck.verdict import Verdict

PROPERTY = "initcheck"  # the user property that carries a claim's result, through xdist too
SESSION = pytest.StashKey["Session"]()
REFUSAL = "initcheck_refusal"  # why an xdist worker runs no claim
TRIES_INIT = "initcheck_tries_init"  # whether a test of an xdist worker takes initcheck_init
LOADED = time.perf_counter()  # start-up is counted from here: pytest's own is not ours
VERDICTS = ("refuted", "drifted", "inconclusive", "invalid")


def claim(*, source: str, kind: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Mark a test as a claim.

    Args:
        source: where the statement comes from, e.g. ``"notebook 001"``.
        kind: ``exact`` (true in real arithmetic), ``theorem`` (limit computed), ``measured``.

    Raises:
        ValueError: another kind, a source that is no text, or a test without a docstring, which is
            the claim's statement.
    """
    if kind not in ("exact", "theorem", "measured"):
        raise ValueError(f"a claim's kind is exact, theorem or measured, not {kind!r}")
    if not isinstance(source, str):
        raise ValueError(f"a claim's source is a text, not {source!r}")  # noqa: TRY004 -- as kind

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        if not (test.__doc__ or "").strip():
            raise ValueError(f"{test.__name__} needs a docstring: the claim, as one true sentence")
        pytest.mark.initcheck_claim(source=source, kind=kind)(test)
        return test

    return mark


# --- options ------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """One option, one ini key and one environment variable a setting."""
    group = parser.getgroup("initcheck", "claims about weight initialization")
    for option in OPTIONS:
        group.addoption(f"--initcheck-{option.name}", **option.argparse())
        parser.addini(f"initcheck_{option.key}", option.help, default="")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse wrong options and missing devices before anything is collected or trained."""
    config.addinivalue_line(
        "markers", "initcheck_claim(source, kind): a claim about weight initialization"
    )
    settings = Settings.of(config)
    if settings.fault is not None:
        seed_fault(config, settings.fault)
    if settings.demanded or settings.init:
        open_session(config, settings)
    config.pluginmanager.register(Reporting(config), "initcheck-reporting")


def seed_fault(config: pytest.Config, name: str) -> None:
    """Break one thing until pytest is done with its configuration."""
    from initcheck import faults

    try:
        broken = faults.find(name).apply()
    except ValueError as error:
        raise pytest.UsageError(f"--initcheck-fault: {error}") from None
    stack = ExitStack()
    stack.enter_context(broken)
    config.add_cleanup(stack.close)


def open_session(config: pytest.Config, settings: Settings | None = None) -> Session:
    """The session, opened when it is first needed: from here on torch is imported."""
    if SESSION not in config.stash:
        from initcheck.session import Session

        config.stash[SESSION] = Session.open(settings or Settings.of(config), config)
    return config.stash[SESSION]


# --- devices ------------------------------------------------------------------------------------


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """``initcheck_init``: once an initializer; ``initcheck_device``: once a device, last in ids."""
    if "initcheck_init" in metafunc.fixturenames:
        given = open_session(metafunc.config).initializers or packaged()
        names = [initializer.name for initializer in given]
        metafunc.parametrize("initcheck_init", given, ids=names)
    if "initcheck_device" in metafunc.fixturenames:
        names = list(open_session(metafunc.config).devices)
        metafunc.parametrize("initcheck_device", names, ids=names, scope="session")


def packaged() -> tuple[Initializer, ...]:
    """What the conformance claims judge where no ``--initcheck-init`` is given."""
    from initcheck.initializers import every, he_normal_

    return (every(he_normal_, name="he_normal_"),)


@pytest.fixture
def verdict(request: pytest.FixtureRequest, initcheck_device: str) -> Verdict:
    """Trains, measures and judges; see ``Verdict.holds`` and ``Verdict.gains``."""
    if request.node.get_closest_marker("initcheck_claim") is None:
        pytest.fail(f"{request.node.name} uses 'verdict' but is not marked @claim", pytrace=False)
    return open_session(request.config).verdict(request.node, initcheck_device)


@pytest.fixture(scope="session")
def initcheck_session(request: pytest.FixtureRequest) -> Session:
    """For timings: the devices, the settings and the laboratory of this session."""
    return open_session(request.config)


# --- running ------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """After a claim's test: its verdict decides, whatever the test itself thought."""
    if pyfuncitem.get_closest_marker("initcheck_claim") is None:
        return (yield)
    began = time.perf_counter()
    session = open_session(pyfuncitem.config)
    session.laboratory.profile.purposes.setdefault("start-up", began - LOADED)
    found: Verdict | None = pyfuncitem.funcargs.get("verdict")  # type: ignore[assignment] # ours
    try:
        with session.laboratory.profile.spent("statistics"):
            outcome = yield
    except BaseException as crash:
        _stopped(pyfuncitem, found, time.perf_counter() - began, crash)
        raise
    finally:
        session.progress.clear()
    result = session.result(pyfuncitem, found, time.perf_counter() - began)
    refused = session.record(found, result) if found is not None else ""
    _ship(pyfuncitem, result)
    if refused or result["verdict"] != "pass":
        pytest.fail(refused or result["message"], pytrace=False)
    return outcome


def _stopped(
    item: pytest.Function, found: Verdict | None, seconds: float, crash: BaseException
) -> None:
    """A claim that did not reach its end: skipped, interrupted, or invalid.

    What a comparison has already shown is not skipped with those after it.
    """
    from initcheck.image_arrays import DataError

    if isinstance(crash, pytest.exit.Exception | KeyboardInterrupt):
        return
    session = open_session(item.config)
    if not isinstance(crash, DataError | pytest.skip.Exception):
        _ship(item, session.result(item, found, seconds, crash))
        return
    result = session.unfinished(item, found, seconds, crash)
    if result is not None:
        _ship(item, result)
        pytest.fail(result["message"], pytrace=False)
    if isinstance(crash, DataError):  # of data that nobody demanded, else it had become a verdict
        pytest.skip(str(crash))


def _ship(item: pytest.Function, result: dict[str, Any]) -> None:
    """Hand a result to the process that reports, with what only this process knows."""
    session = open_session(item.config)
    parcel = {
        "result": result, "folder": str(session.baselines.folder),
        "place": session.places.get(item.nodeid, 0), "recorded": session.recorded[-1:],
    }  # fmt: skip
    session.recorded.clear()
    item.user_properties.append((PROPERTY, parcel))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Guards that need to know whether there are claims: reruns, limits that belong to none."""
    claims = [item for item in items if item.get_closest_marker("initcheck_claim")]
    if not claims or config.option.collectonly:
        return
    try:
        _refuse_reruns(config, claims)
        selected = any("::" in argument for argument in config.args)
        selected = selected or getattr(config.option, "lf", False)
        open_session(config).check_collected(claims, all_ids=not selected)
    except pytest.UsageError as error:
        if not hasattr(config, "workeroutput"):
            raise
        config.workeroutput[REFUSAL] = str(error)  # an xdist worker can only tell, and run nothing
        items.clear()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Timings come last, when nothing trains beside them; the claims' arms are sent for."""
    config = session.config
    if SESSION not in config.stash or config.option.collectonly or hasattr(config, "workerinput"):
        return
    session.items.sort(key=lambda item: item.get_closest_marker("initcheck_claim") is None)
    ours = open_session(config)
    ours.train_ahead(session.items)
    config.add_cleanup(ours.close)


def _refuse_reruns(config: pytest.Config, claims: list[pytest.Item]) -> None:
    flaky = [item.name for item in claims if item.get_closest_marker("flaky")]
    if getattr(config.option, "reruns", None) or flaky:
        what = f"The mark 'flaky' on {flaky[0]}" if flaky else "--reruns"
        raise pytest.UsageError(
            f"{what} would hide a claim that fails: initcheck confirms on fresh seeds instead. "
            "Leave it out, or deselect the claims."
        )


class Reporting:
    """Header, table, files and the exit code, on the process that reports."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.parcels: list[dict[str, Any]] = []
        self.skipped: dict[str, str] = {}
        self.troubles: list[str] = []
        self.headed = False
        self.aborted = False
        self.tries_init = False
        self.is_worker = hasattr(config, "workerinput")

    @property
    def results(self) -> list[dict[str, Any]]:
        """Every claim's result, in the order of collection, whichever process was first."""
        parcels = sorted(self.parcels, key=lambda parcel: parcel["place"])
        return [parcel["result"] for parcel in parcels]

    @pytest.hookimpl(optionalhook=True)  # there is none without pytest-benchmark
    def pytest_benchmark_update_machine_info(self, machine_info: dict[str, Any]) -> None:
        """Add torch and the devices, and leave out what differs at every look."""
        for key in ("hz_actual", "hz_actual_friendly"):  # pytest-benchmark compares it, and warns
            machine_info.get("cpu", {}).pop(key, None)
        if SESSION in self.config.stash:
            known = self.config.stash[SESSION].environment()
            wanted = ("torch", "devices", "matmul precision", "threads")
            machine_info["initcheck"] = {key: known[key] for key in wanted}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Whether a selected test takes what --initcheck-init gives; an xdist worker tells it."""
        fixtures = {name for item in session.items for name in getattr(item, "fixturenames", ())}
        self.tries_init |= "initcheck_init" in fixtures
        if self.is_worker:
            self.config.workeroutput[TRIES_INIT] = self.tries_init  # type: ignore[attr-defined]

    def pytest_report_collectionfinish(self) -> list[str]:
        """The header comes when claims were found, so that other test runs never see it."""
        if SESSION not in self.config.stash:
            return []
        self.headed = True
        return self.config.stash[SESSION].header()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect each claim's result from the process that ran it."""
        if report.skipped and "initcheck_claim" in report.keywords:
            reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else ""
            self.skipped[report.nodeid] = str(reason).removeprefix("Skipped: ")
        for name, value in report.user_properties:
            if name == PROPERTY and report.when == "call" and isinstance(value, dict):
                self.parcels.append(value)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """What an xdist worker refused to run, and why; all of them say the same."""
        told = getattr(node, "workeroutput", {})
        self.tries_init |= told.get(TRIES_INIT, False)
        refusal = told.get(REFUSAL)
        if refusal and refusal not in self.troubles:
            self.troubles.append(refusal)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """The closing table, one row a comparison, and what has to be said in words."""
        if self.is_worker:
            return
        for trouble in self.troubles:
            terminalreporter.line(f"ERROR: {trouble}", red=True)
        for reason in dict.fromkeys(self.skipped.values()):
            count = sum(said == reason for said in self.skipped.values())
            _say(terminalreporter, f"{count} claims skipped: {reason}")
        quiet = self.aborted or self.config.option.collectonly
        if SESSION in self.config.stash and not quiet:
            self._summarize(terminalreporter)

    def _summarize(self, terminalreporter: pytest.TerminalReporter) -> None:
        from initcheck.report import terminal

        session, results = self.config.stash[SESSION], self.results
        whole = session.whole(results)
        if results:
            terminalreporter.section("claims")
            lines = [*([] if self.headed else session.header()), *terminal.table(whole)]
            lines += terminal.closing(whole, whole["settings"]["contract"])
            for line in lines:
                terminalreporter.line(line, **_colour(line))
        recorded = [claim for parcel in self.parcels for claim in parcel["recorded"]]
        for line in session.last_words(results, recorded):
            _say(terminalreporter, line)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the files, and let nothing that did not run look green."""
        if self.is_worker or self.config.option.collectonly:
            return
        if self.parcels:
            open_session(self.config).folder = Path(self.parcels[0]["folder"])
        self.aborted = session.exitstatus in (3, 4)  # pytest's own: internal and usage errors
        if SESSION in self.config.stash and not self.aborted:
            trouble = open_session(self.config).write(self.results)
            self.troubles += [trouble] if trouble else []
        if not self.troubles and session.exitstatus in (0, 1, 5):
            self.troubles += self._undone()
        session.exitstatus = self.exit_status(int(session.exitstatus))

    def _undone(self) -> list[str]:
        """What the command line asked for and no test of this run was there to do, in sentences.

        Not what a variable or an ini file says: a run of other tests merely inherits it.
        """
        asked = {
            name: getattr(self.config.option, f"initcheck_{name}")
            for name in ("json", "html", "record", "fault", "init")
        }
        said = [
            f"--initcheck-{name} {asked[name]}: no claim ran, so nothing came of it. "
            "Name a path with claims, as in `pytest benchmarks`, or leave the option out."
            for name in ("json", "html", "record", "fault")
            if asked[name] is not None and SESSION not in self.config.stash
        ]
        if asked["init"] and not self.tries_init:
            said.append(
                f"--initcheck-init {' '.join(asked['init'])}: no selected test takes an "
                "initializer, so none was tried. Name a path with conformance claims, as in "
                "`pytest benchmarks/test_conformance.py`, or leave the option out."
            )
        return said

    def exit_status(self, status: int) -> int:
        """The status pytest found, except where it would look green and is not.

        4 where something that was asked for did not happen: a device on which no claim ran, a file
        that was not written, an initializer that was not tried, claims of which none could run. 1
        where a verdict other than pass was excused, and where evidence was recorded.
        """
        ours = self.config.stash.get(SESSION, None)
        idle = ours is not None and self._asked_here(ours) and ours.idle(self.results)
        none_ran = bool(self.skipped) and not self.parcels
        if status in (0, 5) and (self.troubles or idle or none_ran):
            return int(pytest.ExitCode.USAGE_ERROR)
        excused = any(result["verdict"] != "pass" for result in self.results)
        never = ours is not None and (ours.settings.record or ours.settings.fault)
        return 1 if status == 0 and (excused or never) else status

    def _asked_here(self, session: Session) -> bool:
        """Not where a variable meant for the gate is seen by a run that has no claims."""
        return self.config.option.initcheck_device is not None or session.folder is not None


def _say(reporter: pytest.TerminalReporter, sentence: str) -> None:
    """A sentence in lines of at most 100 columns; no path or command is broken."""
    lines = textwrap.wrap(
        sentence, 100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    for line in lines:
        reporter.line(line)


def _colour(line: str) -> dict[str, bool]:
    """Green for a line that ends in pass, red for any other verdict."""
    last = line.split()[-1:]
    if last == ["pass"]:
        return {"green": True}
    return {"red": True} if last and last[0] in VERDICTS else {}


def pytest_report_teststatus(
    report: pytest.TestReport,
) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Show a failed claim's verdict in place of FAILED."""
    parcel = dict(report.user_properties).get(PROPERTY) if report.when == "call" else None
    if not isinstance(parcel, dict) or not report.failed:
        return None
    return "failed", "F", (parcel["result"]["verdict"].upper(), {"red": True})
