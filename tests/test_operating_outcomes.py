"""The gate without its envelope: outcomes are still compared, on fresh seeds, and nothing else."""

from __future__ import annotations

import json

import pytest
from projects import CLAIMS, HE_APART, MEASURED, ZEROS_STAY

from initcheck.report.results import read

PLUGIN = ("-p", "initcheck.operating.outcomes", "--initcheck-device=cpu", "--initcheck-salt=x")


@pytest.fixture
def recorded(project):
    """A project with the evidence of an exact and of a measured claim."""
    project.claims(CLAIMS + MEASURED)
    project.limits(ZEROS_STAY + HE_APART)
    project.run("--initcheck-device=cpu", "--initcheck-record=first light")
    return project


def drifts(project):
    """What each arm's drift says after a run in a process of its own: the plugin stays in force."""
    file = project.path / "results.json"
    project.start(*PLUGIN, f"--initcheck-json={file}")
    results = read(file)["results"]
    assert len(results) == 2
    return [p["drift"][side] for r in results for p in r["probes"] for side in p["drift"]]


def test_the_envelope_is_left_out_and_said_to_be(recorded):
    for drift in drifts(recorded):
        assert (drift["verdict"], drift["r"]) == ("unchanged", None)
        assert "not asked for" in drift["note"]


def test_outcomes_that_moved_are_still_seen(recorded):
    path = recorded.evidence("he_tells_images_apart")
    whole = json.loads(path.read_text())
    for comparison in whole["environments"][0]["comparisons"].values():
        comparison["treated"] = [value * 3 for value in comparison["treated"]]
    path.write_text(json.dumps(whole))
    assert "moved" in {drift["verdict"] for drift in drifts(recorded)}


def test_missing_evidence_is_still_missing(recorded):
    recorded.evidence("zeros_stay").unlink()
    assert {"no evidence", "unchanged"} == {drift["verdict"] for drift in drifts(recorded)}
