"""`--initcheck-require-evidence`: what was never recorded, or is stale, is not green."""

from __future__ import annotations

import json

from initcheck.baselines.evidence import sealed
from tests.helpers.projects import CLAIMS

CPU = "--initcheck-device=cpu"
REQUIRE = "--initcheck-require-evidence"


def test_without_evidence_only_the_limit_is_judged(project):
    result = project.run(CPU)
    assert result.ret == 0
    assert "no evidence yet, so only their limits were judged: zeros_stay[cpu]" in result.text


def test_missing_evidence_is_invalid_where_it_is_required(project):
    result = project.run(CPU, REQUIRE)
    assert result.ret == 1
    assert "INVALID zeros_stay[cpu]" in result.text
    assert "There is no evidence, and this run requires it." in result.text


def test_stale_evidence_is_named_and_invalid_where_it_is_required(project):
    project.run(CPU, "--initcheck-record=first")
    assert project.run(CPU, REQUIRE).ret == 0
    project.claims(CLAIMS.replace("steps=5", "steps=6"))
    loose = project.run(CPU)
    assert loose.ret == 0
    assert "stale evidence, treated as missing; record it again: zeros_stay[cpu]" in loose.text
    strict = project.run(CPU, REQUIRE)
    assert strict.ret == 1
    assert "the claim, an arm or the probe has changed since" in strict.text


def test_ini_that_requires_does_not_hinder_the_first_recording(project):
    (project.path / "pytest.ini").write_text("[pytest]\ninitcheck_require_evidence = yes\n")
    assert project.run(CPU).ret == 1
    project.run(CPU, "--initcheck-record=first")
    assert project.run(CPU).ret == 0


def test_arms_that_start_elsewhere_under_another_torch_are_named(project):
    project.run(CPU, "--initcheck-record=first")
    path = project.evidence("zeros_stay")
    whole = json.loads(path.read_text())
    (entry,) = whole["environments"]
    entry["environment"]["torch"] = "2.0.0"
    for arm in entry["arms"].values():
        marks = arm["reference"]["start"]["hidden1.weight"]
        arm["reference"]["start"]["hidden1.weight"] = [[a + 1, b] for a, b in marks]
    path.write_text(json.dumps(sealed(whole)))
    result = project.run(CPU)
    assert result.ret == 0
    assert "outcomes were, if 64 of them are recorded: zeros_stay" in " ".join(result.text.split())
