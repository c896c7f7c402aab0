"""`--initcheck-record` and `--initcheck-accept-drift`: evidence is written, and never passes."""

from __future__ import annotations

import json
import os

import pytest

from initcheck.baselines.evidence import read_evidence
from tests.helpers.projects import CLAIMS, ZEROS_STAY

RECORD = ("--initcheck-record=a reason", "--initcheck-device=cpu")


def test_recording_writes_and_does_not_pass(project):
    result = project.run(*RECORD)
    assert result.ret == 1
    assert "Evidence of 1 claim was written below" in result.text
    assert "this run does not pass" in result.text
    assert " 1 recorded in " in result.text  # not "1 passed", as the exit code is 1
    (entry,) = read_evidence(project.evidence("zeros_stay"))["environments"]
    assert entry["reason"] == "a reason"
    after = project.run("--initcheck-device=cpu", "--initcheck-require-evidence")
    assert after.ret == 0


def test_ci_refuses_to_record(project, monkeypatch):
    monkeypatch.setenv("CI", "true")
    result = project.run(*RECORD)
    assert result.ret == 4
    assert "--initcheck-record is refused where CI is set" in result.text
    assert not project.evidence("zeros_stay").exists()


@pytest.mark.parametrize("no", ["false", "0", "No", "off", ""])
def test_a_variable_ci_that_says_no_is_not_ci(project, monkeypatch, no):
    monkeypatch.setenv("CI", no)
    refused = project.run(*RECORD, "--initcheck-judge=record")  # for another reason
    assert "is refused where CI is set" not in refused.text
    assert "is refused with --initcheck-judge record" in refused.text


def test_nothing_is_recorded_into_an_installed_package(project):
    """The wheel's claims and their baselines are in site-packages."""
    folder = project.path / "site-packages" / "initcheck_benchmarks"
    folder.mkdir(parents=True)
    for name in ("test_claims.py", "baselines"):
        (project.path / name).rename(folder / name)
    refused = project.run(*RECORD)
    assert refused.ret == 4
    assert "belongs to an installed package, which no recording changes" in refused.text
    assert [path.name for path in (folder / "baselines").iterdir()] == ["limits.toml"]


def test_recording_needs_a_reason(project):
    result = project.run("--initcheck-record= ")
    assert result.ret == 4
    assert "a reason is needed" in result.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_interrupted_recording_leaves_the_old_file_whole(project, monkeypatch, error):
    project.run(*RECORD)
    before = project.evidence("zeros_stay").read_bytes()

    def stop(_):
        raise error

    monkeypatch.setattr(os, "fsync", stop)
    result = project.run(*RECORD)
    assert result.ret == (2 if error is KeyboardInterrupt else 1)
    if isinstance(error, OSError):
        assert "evidence of zeros_stay was not written: [Errno 28] No space" in result.text
    assert project.evidence("zeros_stay").read_bytes() == before
    assert [path.name for path in project.evidence("x").parent.iterdir()] == ["zeros_stay.json"]


def test_claim_that_does_not_hold_is_not_recorded(project):
    project.limits(ZEROS_STAY.replace("max = 0", "min = 0.1"))
    assert project.run(*RECORD).ret == 1
    assert not project.evidence("zeros_stay").exists()


def test_far_recording_is_refused_until_a_reason_is_given(project):
    project.run(*RECORD)
    project.claims(CLAIMS.replace("steps=5)", "steps=5)\nWIDE = mlp(784, 4, 10)").replace(
        "Arm(NETWORK, he, RECIPE)", "Arm(NETWORK, he.but('*weight', ones_), RECIPE)"
    ).replace("import he,", "import he, ones_,"))  # fmt: skip
    refused = project.run(*RECORD, "-v")
    assert refused.ret == 1
    assert "test_zeros_stay[cpu] NOT RECORDED" in refused.text
    assert "PASS" not in refused.output
    assert "--initcheck-accept-drift REASON" in refused.text
    assert "Evidence of 0 claims" in refused.text
    accepted = project.run(*RECORD, "--initcheck-accept-drift=the control is larger")
    assert "Evidence of 1 claim" in accepted.text
    whole = json.loads(project.evidence("zeros_stay").read_text())
    assert whole["environments"][0]["accepted"][0]["reason"] == "the control is larger"


def test_broken_evidence_is_recorded_anew_once_it_is_removed(project):
    file = project.evidence("zeros_stay")
    file.parent.mkdir()
    file.write_text("{")
    broken = project.run(*RECORD)
    assert broken.ret == 4
    assert "Restore it from version control, or remove it and record its claim again" in broken.text
    file.unlink()
    assert project.run(*RECORD).ret == 1
    assert file.exists()


def test_accepting_alone_is_refused(project):
    result = project.run("--initcheck-accept-drift=so")
    assert result.ret == 4
    assert "it needs --initcheck-record REASON too" in result.text
