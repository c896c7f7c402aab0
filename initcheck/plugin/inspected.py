"""`--initcheck-model` and the fixture `inspect_model`: inspections as pytest items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initcheck.plugin.lazy_session import opened
from initcheck.plugin.options import Settings
from initcheck.plugin.reporting import REFUSAL

if TYPE_CHECKING:
    from initcheck.inspection import Inspection


#: The test that runs, whose marks `inspect_model` reads; the fixture itself is of the session.
_RUNNING = pytest.StashKey[pytest.Item]()
#: Names of sections in which an item's report carries what the summary prints.
_FOUND, _JUDGED = "Captured findings call", "Captured judged call"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Note which test runs."""
    item.config.stash[_RUNNING] = item
    return (yield)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse an exception in a test that inspects nothing."""
    marked = any(each.name == "initcheck_allow" for each in item.own_markers)
    if marked and "inspect_model" not in getattr(item, "fixturenames", ()):
        pytest.fail(
            f"{item.name} is marked initcheck_allow and does not use inspect_model, so the mark "
            "allows nothing. Remove it.",
            pytrace=False,
        )


@pytest.fixture(scope="session")
def inspect_model(request: pytest.FixtureRequest) -> Callable[..., Inspection]:
    """``inspect_model(build, batch=None)``: see `initcheck.inspection.inspect_model`.

    What the test's marks ``initcheck_allow(pattern, check, why=...)`` name is allowed, too.
    """
    from initcheck.inspection import inspect_model as inspect

    def inspect_with_marks(build: Any, batch: Any = None, **rest: Any) -> Inspection:
        marks = request.config.stash[_RUNNING].iter_markers("initcheck_allow")
        allow = [*rest.pop("allow", ()), *map(_exception, marks)]
        return inspect(build, batch, allow=allow, **rest)

    return inspect_with_marks


def _exception(mark: pytest.Mark) -> tuple[str, str, str]:
    """The pattern, the check and the reason of a mark."""

    def given(pattern: str, check: str, why: str) -> tuple[str, str, str]:
        return pattern, check, why

    try:
        return given(*mark.args, **mark.kwargs)
    except TypeError as error:
        reason = str(error).partition(" ")[2]
        pytest.fail(
            f'initcheck_allow {reason}. Write initcheck_allow("blocks.*.gate", "asleep", '
            'why="adaLN-Zero").',
            pytrace=False,
        )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add one item per check of the model; a model that cannot be built ends the run.

    Raises:
        pytest.UsageError: a function or the recorded start is missing, or the build raises (exit
            4). An xdist worker reports the sentence instead.
    """
    config = session.config
    name = Settings.of(config).model
    if not name:
        return
    model = _Model.from_parent(
        session, name=f"initcheck[{name}]", nodeid=f"initcheck[{name}]", model=name
    )
    if not config.option.collectonly:
        refusal = model.refusal()
        if refusal:
            items.clear()  # pytest still calls pytest_collection_finish, which would train
            if not hasattr(config, "workeroutput"):
                raise pytest.UsageError(refusal)
            config.workeroutput[REFUSAL] = refusal
            return
    items.extend(session.genitems(model))  # counts them as collected


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what items that did not fail found, what was not judged, and how much was."""
    found: list[str] = []
    skipped: dict[str, list[str]] = {}
    judged = ""
    for report in (*terminalreporter.getreports("passed"), *terminalreporter.getreports("skipped"),
                   *terminalreporter.getreports("failed")):  # fmt: skip
        if not report.nodeid.startswith("initcheck["):
            continue
        sections = dict(report.sections)
        found += sections.get(_FOUND, "").splitlines()
        judged = sections.get(_JUDGED, judged)
        if report.skipped:
            reason = report.longrepr[2].removeprefix("Skipped: ")
            skipped.setdefault(reason, []).append(report.nodeid.rpartition("::")[2])
    lines = [f"not judged  {', '.join(checks)}: {why}" for why, checks in skipped.items()]
    if judged or lines:
        terminalreporter.section("initcheck inspection")
        for line in (*found, *lines, *filter(None, [judged])):
            terminalreporter.write_line(line)


class _Model(pytest.Collector):
    """The model that is inspected; once, when its first item runs.

    Attributes:
        failed: why nothing could be inspected, once that was tried.
    """

    def __init__(self, *, model: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.model = model
        self._inspection: Inspection | None = None
        self.failed = ""

    def collect(self) -> Iterator[_Check]:
        from initcheck.inspection.findings import CHECKS

        for check in CHECKS:
            if check == "recorded_start" and Settings.of(self.config).start is None:
                continue
            yield _Check.from_parent(self, name=check)

    def refusal(self) -> str:
        """Why no item can run; empty if the functions are there and the module can be built."""
        from initcheck.inspection import InspectionError
        from initcheck.inspection.inspect import try_out

        settings = Settings.of(self.config)
        try:
            build, _ = self._functions()
            try_out(build, name=self.model, against=None if settings.record else settings.start)
        except InspectionError as error:
            return str(error)
        return ""

    def _functions(self) -> tuple[Callable[..., Any], Callable[..., Any] | None]:
        """The build function, and that of the batch.

        Raises:
            InspectionError: one of them cannot be imported.
        """
        from initcheck.inspection.calling import imported

        batch = Settings.of(self.config).batch
        here = Path.cwd()
        return imported(self.model, here), imported(batch, here) if batch else None

    def inspection(self) -> Inspection:
        """Inspect the model, unless that is done.

        Raises:
            InspectionError: the module cannot be inspected; `failed` keeps why.
        """
        from initcheck.inspection import InspectionError

        if self._inspection is None:
            try:
                self._inspection = self._inspected()
            except InspectionError as error:
                self.failed = str(error)
                raise
        return self._inspection

    def _inspected(self) -> Inspection:
        from initcheck.inspection import inspect_model
        from initcheck.inspection.output import write

        settings = Settings.of(self.config)
        build, batch = self._functions()
        inspection = inspect_model(
            build,
            batch,
            record=settings.start if settings.record else None,
            against=None if settings.record else settings.start,
            name=self.model,
            allow=settings.allow,
        )
        if opened(self.config) is None:  # else these files hold the claims' results
            write(inspection, json_file=settings.json, html_file=settings.html)
        return inspection


class _Check(pytest.Item):
    """One check of the model."""

    parent: _Model

    def runtest(self) -> None:
        from initcheck.inspection import InspectionError
        from initcheck.inspection.text import finding_lines, judged_line

        if self.parent.failed:
            pytest.skip(f"nothing was inspected: {self.parent.failed}")
        try:
            inspection = self.parent.inspection()
        except InspectionError as error:
            pytest.fail(str(error), pytrace=False)
        except OSError as error:
            pytest.fail(f"A file was not written: {error}.", pytrace=False)
        self.add_report_section("call", "judged", judged_line(inspection))
        settings = Settings.of(self.config)
        if self.name == "recorded_start" and settings.record:
            pytest.fail(
                f"The start was recorded in {settings.start}. Review it, then run again without "
                "--initcheck-record.",
                pytrace=False,
            )
        mine = [each for each in inspection.findings if each.check == self.name]
        failing = [each for each in mine if each.severity == "fail"]
        if failing:
            pytest.fail("\n".join(finding_lines(failing, detailed=True)), pytrace=False)
        refused = [
            each.why for each in inspection.not_judged
            if each.requested and each.check == self.name
        ]  # fmt: skip
        if refused:
            pytest.fail(
                "\n".join(["not judged, though a batch was given:", *refused]), pytrace=False
            )
        if self.name not in inspection.judged.checks:
            reasons = [
                each.why for each in inspection.not_judged if each.check in {self.name, "all"}
            ]
            reason = "; ".join(dict.fromkeys(reasons)) or "nothing was judged"
            pytest.skip(reason.replace(" --batch ", " --initcheck-batch "))
        allowed = [each for each in inspection.allowed if each.check == self.name]
        lines = [*finding_lines(mine), *finding_lines(allowed, detailed=True)]
        if lines:
            self.add_report_section("call", "findings", "\n".join(lines))

    def reportinfo(self) -> tuple[Path, None, str]:
        return Path.cwd(), None, f"{self.parent.name}::{self.name}"
