"""`--initcheck-model` and the fixture `inspect_model`: inspections as pytest items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from initcheck.plugin.options import Settings

if TYPE_CHECKING:
    from initcheck.inspection import Inspection


@pytest.fixture(scope="session")
def inspect_model() -> Callable[..., Inspection]:
    """``inspect_model(build, batch=None)``: see `initcheck.inspection.inspect_model`."""
    from initcheck.inspection import inspect_model as inspect

    return inspect


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add one item per check of the model."""
    name = Settings.of(session.config).model
    if name:
        model = _Model.from_parent(
            session, name=f"initcheck[{name}]", nodeid=f"initcheck[{name}]", model=name
        )
        items.extend(model.collect())


class _Model(pytest.Collector):
    """The model that is inspected; once, when its first item runs."""

    def __init__(self, *, model: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.model = model
        self._inspection: Inspection | None = None

    def collect(self) -> Iterator[_Check]:
        from initcheck.inspection.findings import CHECKS

        for check in CHECKS:
            if check == "recorded_start" and Settings.of(self.config).start is None:
                continue
            yield _Check.from_parent(self, name=check)

    def inspection(self) -> Inspection:
        """Inspect the model, unless that is done."""
        if self._inspection is None:
            from initcheck.inspection import inspect_model
            from initcheck.inspection.subject import imported

            here = Path.cwd()
            settings = Settings.of(self.config)
            batch, start = settings.batch, settings.start
            self._inspection = inspect_model(
                imported(self.model, here),
                imported(batch, here) if batch else None,
                record=start if settings.record else None,
                against=None if settings.record else start,
                name=self.model,
            )
        return self._inspection


class _Check(pytest.Item):
    """One check of the model."""

    parent: _Model

    def runtest(self) -> None:
        from initcheck.inspection import InspectionError
        from initcheck.inspection.findings import finding_lines

        try:
            inspection = self.parent.inspection()
        except InspectionError as error:
            pytest.fail(str(error), pytrace=False)
        except OSError as error:
            pytest.fail(f"The start was not recorded: {error}.", pytrace=False)
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
            pytest.fail("\n".join(finding_lines(failing)), pytrace=False)
        if self.name not in inspection.judged.checks:
            reasons = [
                each.why for each in inspection.not_judged if each.check in {self.name, "all"}
            ]
            pytest.skip("; ".join(dict.fromkeys(reasons)) or "nothing was judged")
        if mine:
            self.add_report_section("call", "findings", "\n".join(finding_lines(mine)))

    def reportinfo(self) -> tuple[Path, None, str]:
        return Path.cwd(), None, f"{self.parent.name}::{self.name}"
