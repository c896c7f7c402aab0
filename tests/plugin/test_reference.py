"""Claims that two arms are equal in bits and a third is not, from declaration to evidence."""

from __future__ import annotations

import json

import pytest

from initcheck.baselines.evidence import read_evidence
from initcheck.devices import forks
from initcheck.plugin import prefetch, session
from tests.helpers.projects import CLAIMS, limit

EQUAL = """
from initcheck.probes import logit_difference, loss_difference

def under(**options):
    return Arm(NETWORK, he, Recipe(SGD(**options), batch=32, steps=5), name=str(options))

@claim(source="a test", kind="exact")
def test_no_momentum_is_momentum_zero(verdict):
    \"\"\"Momentum 0 trains as no momentum does, bit by bit; momentum 0.5 does not.\"\"\"
    for difference in (loss_difference, logit_difference):
        verdict.equal(
            difference,
            treated=under(lr=0.1, momentum=TREATED),
            reference=under(lr=REFERENCE),
            control=under(lr=0.1, momentum=0.5),
        )
"""
NAME = "no_momentum_is_momentum_zero"
LIMITS = "".join(limit(NAME, f"{what}_difference", "max = 0") for what in ("loss", "logit"))
CPU = "--initcheck-device=cpu"


@pytest.fixture
def equal(project):
    """A project with that claim; returns a function that sets momentum and rate."""

    def write(treated=0.0, reference=0.1):
        text = EQUAL.replace("TREATED", str(treated)).replace("REFERENCE", str(reference))
        project.claims(CLAIMS.partition("@claim")[0] + text)

    write()
    project.limits(LIMITS)
    return project, write


def test_equal_arms_pass_with_evidence_of_all_three(equal):
    project, write = equal
    project.run(CPU, "--initcheck-record=first")
    (entry,) = read_evidence(project.evidence(NAME))["environments"]
    assert len(entry["arms"]) == 3
    assert all("SGD(lr=0.1), " in each["reference_arm"] for each in entry["comparisons"].values())
    (result,) = project.results(CPU, "--initcheck-require-evidence")
    assert result["verdict"] == "pass"
    for probe in result["probes"]:
        assert probe["form"] == "holds"
        assert probe["reference_name"] == "{'lr': 0.1}"
        assert not any(probe["treated"])
        assert min(probe["control"]) > 0
        assert {each["verdict"] for each in probe["drift"].values()} == {"unchanged"}
        assert sorted(probe["drift"]) == ["control", "reference", "treated"]
    write(reference=0.10001)  # the evidence is of another reference
    (stale,) = project.results(CPU)
    assert stale["probes"][0]["drift"]["reference"]["verdict"] == "stale"


def test_arms_that_differ_are_refuted_with_the_reference_named(equal):
    project, write = equal
    write(treated=0.25)
    result = project.run(CPU)
    assert result.ret == 1
    text = " ".join(result.text.split())
    assert "loss_difference from the reference ({'lr': 0.1}): treated" in text
    assert "4 of 4 treated seeds are outside the limit" in text


def test_a_control_that_equals_the_reference_separates_nothing(equal):
    project, _ = equal
    project.claims((project.path / "test_claims.py").read_text().replace("=0.5", "=0.0"))
    (result,) = project.results(CPU)
    assert result["verdict"] == "invalid"
    assert "the limit separates nothing" in result["probes"][0]["reason"]


def test_damaged_evidence_of_a_reference_is_refused(equal):
    project, _ = equal
    project.run(CPU, "--initcheck-record=first")
    file = project.evidence(NAME)
    plain = json.loads(file.read_text())
    comparisons = plain["environments"][0]["comparisons"]
    comparisons["loss_difference"]["reference_arm"] = "none of them"
    del plain["environments"][0]["digest"]
    file.write_text(json.dumps(plain))
    result = project.run(CPU)
    assert "reference_arm" in result.text
    assert "no arm of that name" in result.text


@pytest.mark.skipif(not forks.supported(), reason="no process can be forked here")
def test_one_job_trains_all_arms_that_a_reference_links(equal, monkeypatch):
    project, _ = equal
    submitted = []

    class Noted(prefetch.Workers):
        def __init__(self, laboratory, jobs, processes):
            submitted.extend(jobs)
            super().__init__(laboratory, jobs, processes)

    here = project.results(CPU)
    monkeypatch.setattr(session, "_threads", lambda config: 2)
    monkeypatch.setattr(prefetch, "WORTH", 0)
    monkeypatch.setattr(prefetch, "Workers", Noted)
    there = project.results(CPU)
    (job,) = submitted
    assert len(job.uses) == 3
    values = [[(p["treated"], p["control"]) for p in r[0]["probes"]] for r in (here, there)]
    assert values[0] == values[1]
