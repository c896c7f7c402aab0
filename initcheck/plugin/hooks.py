"""The pytest plugin's hooks: options, devices, guards. torch is imported only for claims."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

import pytest

from initcheck.plugin import inspected
from initcheck.plugin.claim_tests import refuse_no_claims
from initcheck.plugin.lazy_session import open_session, opened
from initcheck.plugin.options import OPTIONS, Settings
from initcheck.plugin.reporting import REFUSAL, Reporting, ship
from initcheck.plugin.trajectories import TRAJECTORIES, Trajectories, unchanged

if TYPE_CHECKING:
    from initcheck.gate.verdict import Verdict
    from initcheck.initializers import Initializer
    from initcheck.plugin.session import Session
    from initcheck.results import ClaimResult

__all__ = ["unchanged"]  # pytest finds fixtures in the module that it loads

LOADED = time.perf_counter()  # start-up is counted from here, without pytest's own


# --- options ------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option and an ini key per setting."""
    group = parser.getgroup("initcheck", "claims about weight initialization")
    for option in OPTIONS:
        group.addoption(f"--initcheck-{option.name}", **option.argparse())
        kind: Literal["linelist"] | None = "linelist" if option.lines else None
        parser.addini(f"initcheck_{option.key}", option.help, kind, default="")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse wrong options and missing devices before collection and training."""
    config.addinivalue_line(
        "markers", "initcheck_claim(source, kind): a claim about weight initialization"
    )
    config.addinivalue_line(
        "markers", "initcheck_allow(pattern, check, why): what inspect_model may find in this test"
    )
    config.pluginmanager.register(inspected, "initcheck-inspected")
    settings = Settings.of(config)
    if settings.fault is not None:
        seed_fault(config, settings.fault)
    if settings.demanded or settings.init:
        open_session(config, settings)
    config.pluginmanager.register(Trajectories(config), TRAJECTORIES)
    config.pluginmanager.register(Reporting(config), "initcheck-reporting")


def seed_fault(config: pytest.Config, name: str) -> None:
    """Break one thing until pytest ends."""
    from initcheck import faults

    try:
        broken = faults.find(name).apply()
    except ValueError as error:
        raise pytest.UsageError(f"--initcheck-fault: {error}") from None
    stack = ExitStack()
    stack.enter_context(broken)
    config.add_cleanup(stack.close)


# --- devices ------------------------------------------------------------------------------------


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize ``initcheck_init`` and ``initcheck_device``, whose ids come last."""
    if "initcheck_init" in metafunc.fixturenames:
        given = open_session(metafunc.config).initializers or packaged()
        names = [initializer.name for initializer in given]
        metafunc.parametrize("initcheck_init", given, ids=names)
    if "initcheck_device" in metafunc.fixturenames:
        names = list(open_session(metafunc.config).devices)
        metafunc.parametrize("initcheck_device", names, ids=names, scope="session")


def packaged() -> tuple[Initializer, ...]:
    """The initializers that the conformance claims judge without ``--initcheck-init``."""
    from initcheck.initializers import every, he_normal_

    return (every(he_normal_, name="he_normal_"),)


@pytest.fixture
def verdict(request: pytest.FixtureRequest, initcheck_device: str) -> Verdict:
    """Declares comparisons: see ``Verdict.holds``, ``Verdict.gains`` and ``Verdict.rate``."""
    if request.node.get_closest_marker("initcheck_claim") is None:
        pytest.fail(f"{request.node.name} uses 'verdict' but is not marked @claim", pytrace=False)
    return open_session(request.config).verdict(request.node, initcheck_device)


@pytest.fixture
def initcheck_activation(request: pytest.FixtureRequest) -> str:
    """The activation of the networks on which the conformance claims test an initializer."""
    activation: str = open_session(request.config).settings.activation
    return activation


@pytest.fixture(scope="session")
def initcheck_session(request: pytest.FixtureRequest) -> Session:
    """For timing tests: the devices, settings and trainer of this session."""
    return open_session(request.config)


# --- running ------------------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Call a claim's test, unless that is done, and judge what it declared."""
    if pyfuncitem.get_closest_marker("initcheck_claim") is None:
        return None
    began = time.perf_counter()
    session = open_session(pyfuncitem.config)
    session.laboratory.profile.purposes.setdefault("start-up", began - LOADED)
    verdict: Verdict | None = pyfuncitem.funcargs.get("verdict")  # type: ignore[assignment] # ours
    try:
        with session.laboratory.profile.spent("statistics"):
            _call_and_judge(pyfuncitem, verdict)
    except BaseException as error:
        _stopped(pyfuncitem, verdict, time.perf_counter() - began, error)
        raise
    finally:
        session.progress.clear()
    result = session.result(pyfuncitem, verdict, time.perf_counter() - began)
    refused = session.record(verdict, result) if verdict is not None else ""
    ship(pyfuncitem, result, refused)
    _excuse(result)
    if refused or result.verdict != "pass":
        pytest.fail(refused or result.message, pytrace=False)
    return True


def _excuse(result: ClaimResult) -> None:
    """End the test of a known failure: as xfail if it fails, and as failed if it passes."""
    if result.known and result.fails:
        pytest.fail(result.message, pytrace=False)
    if result.known:
        pytest.xfail(result.known)  # does nothing with --runxfail


def _call_and_judge(item: pytest.Function, verdict: Verdict | None) -> None:
    """A test that skips itself is judged on what it declared before."""
    skipped: BaseException | None = None
    try:
        if verdict is None or not verdict.called:
            names = item._fixtureinfo.argnames  # noqa: SLF001 -- no public name for the arguments
            item.obj(**{name: item.funcargs[name] for name in names})
        elif verdict.error is not None:
            raise verdict.error
    except pytest.skip.Exception as error:
        skipped = error
    if verdict is not None:
        verdict.judge()
    if skipped is not None:
        raise skipped


def _stopped(
    item: pytest.Function, verdict: Verdict | None, seconds: float, error: BaseException
) -> None:
    """A claim that did not reach its end: skipped, interrupted, or invalid.

    A comparison that is already red is not skipped with those after it.
    """
    from initcheck.gate.verdict import SKIPPED_FOR

    if isinstance(error, pytest.exit.Exception | KeyboardInterrupt):
        return
    session = open_session(item.config)
    if not isinstance(error, SKIPPED_FOR):
        result = session.result(item, verdict, seconds, error)
        ship(item, result)
        _excuse(result)
        return
    unfinished = session.unfinished(item, verdict, seconds, error)
    if unfinished is not None:
        ship(item, unfinished)
        _excuse(unfinished)
        pytest.fail(unfinished.message, pytrace=False)
    if not isinstance(error, pytest.skip.Exception):
        pytest.skip(str(error))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse tests that cannot be claims, reruns of claims, and limits that belong to no claim."""
    claims = [item for item in items if item.get_closest_marker("initcheck_claim")]
    if not claims:
        return
    try:
        refuse_no_claims(claims)
        if config.option.collectonly:
            return
        _refuse_reruns(config, claims)
        selected = any("::" in argument for argument in config.args)
        selected = selected or getattr(config.option, "lf", False)
        open_session(config).check_collected(claims, all_ids=not selected)
    except pytest.UsageError as error:
        items.clear()  # pytest still calls pytest_collection_finish, which would train
        if not hasattr(config, "workeroutput"):
            raise
        config.workeroutput[REFUSAL] = str(error)  # an xdist worker can only report it


def pytest_collection_finish(session: pytest.Session) -> None:
    """Timings come last, when nothing else trains; training of the claims' arms starts here."""
    config = session.config
    ours = opened(config)
    if ours is None or config.option.collectonly or hasattr(config, "workerinput"):
        return
    session.items.sort(key=lambda item: item.get_closest_marker("initcheck_claim") is None)
    ours.plan(session.items)
    config.add_cleanup(ours.close)


def _refuse_reruns(config: pytest.Config, claims: list[pytest.Item]) -> None:
    flaky = [item.name for item in claims if item.get_closest_marker("flaky")]
    if getattr(config.option, "reruns", None) or flaky:
        what = f"The mark 'flaky' on {flaky[0]}" if flaky else "--reruns"
        raise pytest.UsageError(
            f"{what} would hide a claim that fails: initcheck confirms on fresh seeds instead. "
            "Leave it out, or deselect the claims."
        )
