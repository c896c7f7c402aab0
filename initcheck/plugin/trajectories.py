"""The fixture `unchanged`: training loops of a user's tests, recorded and checked."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initcheck.files import write_atomic
from initcheck.plugin.lazy_session import opened
from initcheck.plugin.options import Settings

if TYPE_CHECKING:
    from initcheck.trajectory import Report

SCHEMA = 1
FOLDER = "unchanged"  # next to the test file: holds a folder per test file, and a file per test
TRAJECTORIES = "initcheck-trajectories"  # the name of the plugin below
CARRIED = "initcheck_unchanged"  # the attribute of pytest's report that carries them
_REPORTS = pytest.StashKey[list[dict[str, Any]]]()
_RECORDED = pytest.StashKey[list[str]]()  # what was recorded, as text


@pytest.fixture
def unchanged(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """``unchanged(training, steps=32, file=None)``: see `initcheck.trajectory.unchanged`.

    Fails the test unless the loop trains as recorded. Without a file, the reference is
    ``unchanged/<test file>/<test>.json`` next to the test file. With ``--initcheck-record REASON``
    the reference is written, and the test fails once, at its end.
    """
    from initcheck.trajectory import TrajectoryError
    from initcheck.trajectory import unchanged as check

    settings = Settings.of(request.config)
    reports = request.node.stash.setdefault(_REPORTS, [])
    used: set[Path] = set()

    def judge(training: Any, *, file: str | Path | None = None, **rest: Any) -> Report:
        path = _default(request.node) if file is None else request.path.parent / file
        if path in used:
            pytest.fail(
                f"{request.node.name} calls unchanged twice with the reference {path.name}. Give "
                "each call a file.",
                pytrace=False,
            )
        used.add(path)
        command = f"pytest {request.node.nodeid!r} --initcheck-record 'why'"
        report, problem = None, ""
        try:
            report = check(training, file=path, record=settings.record, command=command, **rest)
        except (TrajectoryError, OSError) as error:
            problem = str(error)
        if report is None:  # outside of except, so that the error is shown once
            pytest.fail(problem, pytrace=False)
        _keep(report, reports, request.node.user_properties)
        text = "\n".join(report.lines())
        if report.verdict == "recorded":
            request.node.stash.setdefault(_RECORDED, []).append(text)
        elif not report.ok:
            pytest.fail(text, pytrace=False)
        else:
            request.node.add_report_section("call", "unchanged", text)
        return report

    return judge


def _default(item: pytest.Item) -> Path:
    """The reference of a test, from the names of its file, its class and itself.

    If a name has characters that file names should not have, a checksum keeps it apart from others.
    """
    name = ".".join(item.nodeid.split("::")[1:])
    plain = re.sub(r"[^\w.=-]+", "-", name).strip("-")
    if plain != name:
        plain += f"-{zlib.crc32(name.encode()):08x}"
    return item.path.parent / FOLDER / item.path.stem / f"{plain}.json"


def _keep(
    report: Report, reports: list[dict[str, Any]], properties: list[tuple[str, object]]
) -> None:
    """Keep a report for the files, and its main numbers for JUnit."""
    reports.append(report.as_json())
    number = f"_{len(reports)}" if len(reports) > 1 else ""
    for key in ("verdict", "r", "loss_r", "first_step", "tensor"):
        value = getattr(report, key)
        if value is not None and value != "":
            properties.append((f"initcheck_unchanged{number}_{key}", value))


class Trajectories:
    """Collects the reports of all loops, in the process that reports, and writes the files."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.reports: list[dict[str, Any]] = []
        self.used = False

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """Fail a test that has recorded, whatever it asserts of its reports."""
        try:
            return (yield)
        finally:
            recorded = pyfuncitem.stash.get(_RECORDED, [])
            if recorded:
                pytest.fail("\n\n".join(recorded), pytrace=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Send the reports of a test along with pytest's own, also through xdist."""
        report = yield
        if report.when == "call" and _REPORTS in item.stash:
            setattr(report, CARRIED, json.dumps(item.stash[_REPORTS]))  # xdist sends plain types
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect a test's reports from the process that ran it."""
        found = getattr(report, CARRIED, None)
        if found is not None:
            self.used = True
            self.reports += json.loads(found)

    def written(self) -> str:
        """Write JSON and page if no claim ran; returns a sentence if one cannot be written."""
        settings = Settings.of(self.config)
        if not self.reports or opened(self.config) is not None or settings.model is not None:
            return ""
        from initcheck.trajectory.page import page

        try:
            if settings.json is not None:
                whole = {"schema": SCHEMA, "unchanged": self.reports}
                write_atomic(settings.json, json.dumps(whole, indent=1, allow_nan=False) + "\n")
            if settings.html is not None:
                write_atomic(settings.html, page(self.reports))
        except OSError as error:
            return f"The reports of training loops were not written: {error}. Name another file."
        return ""
