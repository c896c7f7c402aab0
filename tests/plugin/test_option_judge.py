"""The gate in part: outcomes without the envelope, and the record without measured limits."""

from __future__ import annotations

import json

import pytest

from initcheck.baselines.evidence import sealed
from tests.helpers.projects import CLAIMS, HE_APART, MEASURED, ZEROS_STAY

SALT = ("--initcheck-device=cpu", "--initcheck-salt=x")


@pytest.fixture
def recorded(project):
    """A project with the evidence of an exact and of a measured claim."""
    project.claims(CLAIMS + MEASURED)
    project.limits(ZEROS_STAY + HE_APART)
    project.run("--initcheck-device=cpu", "--initcheck-record=first light")
    return project


def results(project, judge, *options):
    """The results of both claims."""
    found = project.results(*SALT, f"--initcheck-judge={judge}", *options)
    assert len(found) == 2
    return found


def drifts(project):
    """What each arm's drift says where outcomes alone are compared."""
    found = results(project, "outcomes")
    return [p["drift"][side] for r in found for p in r["probes"] for side in p["drift"]]


def test_the_envelope_is_left_out_and_said_to_be(recorded):
    for drift in drifts(recorded):
        assert (drift["verdict"], drift["r"]) == ("unchanged", None)
        assert "not judged" in drift["note"]


def test_outcomes_that_moved_are_still_seen(recorded):
    path = recorded.evidence("he_tells_images_apart")
    whole = json.loads(path.read_text())
    for comparison in whole["environments"][0]["comparisons"].values():
        comparison["treated"] = [value * 3 for value in comparison["treated"]]
    path.write_text(json.dumps(sealed(whole)))
    assert "moved" in {drift["verdict"] for drift in drifts(recorded)}


def test_missing_evidence_is_still_missing(recorded):
    recorded.evidence("zeros_stay").unlink()
    assert {"no evidence", "unchanged"} == {drift["verdict"] for drift in drifts(recorded)}


def test_the_record_is_asked_on_four_seeds_and_no_measured_limit(recorded):
    limits = ZEROS_STAY.replace("max = 0", "max = -1") + HE_APART.replace("0.1", "1e9")
    recorded.limits(limits)
    found = {r["claim"]: r for r in results(recorded, "record")}
    assert found["he_tells_images_apart"]["verdict"] == "pass"
    assert found["zeros_stay"]["verdict"] == "refuted"  # exact: judged whole
    assert {len(r["probes"][0]["seeds"]) for r in found.values()} == {4}


def test_the_record_alone_catches_a_changed_learning_rate(recorded):
    recorded.limits((ZEROS_STAY + HE_APART).replace("zeros_with_noise", "lr_halved"))
    found = results(recorded, "record", "--initcheck-fault=lr_halved")
    assert {r["claim"] for r in found if r["verdict"] == "drifted"} >= {"he_tells_images_apart"}


@pytest.mark.parametrize("judge", ["outcomes", "record"])
def test_a_run_that_judged_a_part_says_so(recorded, judge):
    assert f"--initcheck-judge {judge}" in recorded.run(*SALT, f"--initcheck-judge={judge}").text
    assert "Only a part was judged" not in recorded.run(*SALT).text


def test_recording_is_refused_where_a_part_is_judged(recorded):
    done = recorded.run("--initcheck-judge=outcomes", "--initcheck-record=why")
    assert done.ret == 4
    assert "only a claim that is judged completely is recorded" in done.text
