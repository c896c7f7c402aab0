"""docs/inspect.md: each check fires on its first example and not on its second."""

from __future__ import annotations

import copy
import re

import pytest
import torch
from torch import nn

from initcheck import inspect_model
from initcheck.inspection.findings import CHECKS
from tests.helpers.projects import ROOT

PAGE = (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, flags=re.MULTILINE | re.DOTALL))


def fired(section: str, label: str, tmp_path) -> set[str]:
    """The checks that fail or warn on the example after a label."""
    code = re.search(
        rf"^{label}[^\n]*:\n\n```python\n(.*?)```", section, flags=re.MULTILINE | re.DOTALL
    )[1]
    scope = {"torch": torch, "nn": nn, "copy": copy}
    exec(code, scope)  # noqa: S102 -- the page's own examples
    build, batch, against = scope.get("build") or scope["Model"], scope.get("batch"), None
    if "changed" in scope:
        against = tmp_path / "start.json"
        inspect_model(build, batch, record=against)
        build = scope["changed"]
    inspection = inspect_model(build, batch, against=against)
    return {each.check for each in inspection.of_severity("fail", "warn")}


def test_every_check_has_a_section():
    assert tuple(SECTIONS) == CHECKS


@pytest.mark.parametrize("check", CHECKS)
def test_the_examples_are_true(check, tmp_path):
    assert fired(SECTIONS[check], "Fires", tmp_path) == {check}
    assert fired(SECTIONS[check], "Does not fire", tmp_path) == set()
