"""`--initcheck-scale`: brief, or the notebooks' own protocols."""

from __future__ import annotations

import json

import pytest

from tests.helpers.projects import CLAIMS, HE_APART, MEASURED, ZEROS_STAY


def test_unknown_scale_is_refused(project):
    result = project.run("--initcheck-scale=tiny")
    assert result.ret == 4
    assert "--initcheck-scale: 'tiny' is none of brief, full." in result.text


@pytest.mark.parametrize(
    ("option", "scale"), [((), "brief"), (("--initcheck-scale=full",), "full")]
)
def test_scale_is_in_the_results(project, option, scale):
    file = project.path / "results.json"
    assert project.run(*option, f"--initcheck-json={file}").ret == 0
    assert json.loads(file.read_text())["settings"]["scale"] == scale


def test_full_scale_demands_its_data_and_brief_does_not(project):
    data = CLAIMS.replace("he, RECIPE", 'he, RECIPE, "mnist"')
    project.claims(data.replace("zeros, RECIPE", 'zeros, RECIPE, "mnist"'))
    project.claims(CLAIMS.partition("@claim")[0] + MEASURED, "test_more")
    project.limits(ZEROS_STAY + HE_APART)
    brief = project.run("--initcheck-scale=brief")
    assert (brief.ret, "1 passed, 1 skipped" in brief.text) == (0, True)
    full = project.run("--initcheck-scale=full")
    assert full.ret == 1
    assert "INVALID zeros_stay[cpu]" in full.text
    assert "`--initcheck-data-root DIR`" in full.text
