"""Known failures in a run: shown as such, never green silently, and red once they pass."""

from __future__ import annotations

import pytest
import torch

from initcheck.cli.main import main
from initcheck.results import read
from tests.helpers.projects import HE_APART, MEASURED, ZEROS_STAY

CPU = "--initcheck-device=cpu"
ENTRY = f"""
[[failure]]
claim = "zeros_stay"
device = "cpu"
torch = "{torch.__version__.partition("+")[0]}"
verdict = "refuted"
comparison = "weight_magnitude"
because = "confirmed on fresh seeds"
reason = "The limit of this test is wrong on purpose."
reproduce = "pytest"
"""


@pytest.fixture
def red(project):
    """A project with one claim that is refuted and one that holds."""
    project.claims(project.path.joinpath("test_claims.py").read_text() + MEASURED)
    project.limits(ZEROS_STAY.replace("max = 0", "min = 1e3") + HE_APART)
    return project


def known(project, text=ENTRY):
    (project.path / "baselines" / "known_failures.toml").write_text(text, encoding="utf-8")


def reason(project):
    """The reason that the failing comparison gives."""
    result = next(each for each in project.results(CPU) if each["claim"] == "zeros_stay")
    assert result["verdict"] != "pass"
    (probe,) = result["probes"]
    return probe["verdict"], probe["reason"]


def entry(project):
    verdict, because = reason(project)
    text = ENTRY.replace('"refuted"', f'"{verdict}"')
    return text.replace("confirmed on fresh seeds", because.replace("\\", "")[:40])


def test_a_known_failure_has_its_own_line_and_the_others_decide(red):
    text = entry(red)
    known(red, text)
    result = red.run(CPU, f"--initcheck-json={red.path / 'results.json'}")
    assert result.ret == 0, result.output
    assert "1 passed, 1 known failure in" in result.text
    assert "1 pass, 1 known failure" in result.text
    assert "known failure: zeros_stay[cpu] is" in result.text
    assert "The limit of this test is wrong on purpose." in result.text
    run = read(red.path / "results.json")
    assert run.exit_status == 0
    assert [bool(each.known) for each in run.results] == [True, False]
    assert run.results[0].verdict != "pass"
    assert not run.not_judged


def test_workers_tell_it_too(red):
    known(red, entry(red))
    result = red.run(CPU, "-n", "2")
    assert result.ret == 0, result.output
    assert "known failure: zeros_stay[cpu] is" in result.text


def test_another_claim_that_fails_is_red(red):
    known(red, entry(red))
    red.limits(
        ZEROS_STAY.replace("max = 0", "min = 1e3") + HE_APART.replace("min = 0.1", "min = 1e4")
    )
    result = red.run(CPU)
    assert result.ret == 1
    assert "1 failed, 1 known failure in" in result.text


def test_another_verdict_is_red(red):
    text = entry(red)
    verdict = reason(red)[0]
    other = "drifted" if verdict != "drifted" else "invalid"
    known(red, text.replace(f'verdict = "{verdict}"', f'verdict = "{other}"'))
    result = red.run(CPU)
    assert result.ret == 1
    assert "expects another failure here" in result.text


def test_a_known_failure_that_passes_is_red(red):
    known(red, entry(red))
    red.limits(ZEROS_STAY + HE_APART)
    file = red.path / "results.json"
    result = red.run(CPU, f"--initcheck-json={file}")
    assert result.ret == 1
    assert "zeros_stay[cpu] passes, but known_failures.toml lists it" in result.text
    assert read(file).exit_status == 1


def test_without_excuses_it_is_red(red):
    known(red, entry(red))
    assert red.run(CPU, "--runxfail").ret == 1


def test_an_entry_for_another_torch_excuses_nothing(red):
    known(red, entry(red).replace(torch.__version__.partition("+")[0], "2.4.1"))
    assert red.run(CPU).ret == 1


def test_an_entry_without_a_claim_is_refused(red):
    known(red, ENTRY.replace("zeros_stay", "zeros_stray"))
    result = red.run(CPU)
    assert result.ret == 4
    assert "has known failures of zeros_stray, but there is no claim of that name" in result.text


def test_a_part_of_the_gate_knows_no_failures(red):
    known(red, entry(red))
    assert red.run(CPU, "--initcheck-judge=outcomes").ret == 1


def test_reports_mark_it(red, capsys):
    known(red, entry(red))
    file = red.path / "results.json"
    red.run(CPU, f"--initcheck-json={file}")
    capsys.readouterr()
    assert main(["report", str(file), "--markdown"]) == 0
    assert "(known failure)" in capsys.readouterr().out
    assert main(["report", str(file), "--annotations"]) == 0
    assert "::error" not in capsys.readouterr().out
