"""`initcheck explain`, on a made-up project: every line comes from the files."""

from __future__ import annotations

from statistics import NormalDist

import pytest

from initcheck.claims import Claim
from initcheck.cli.explain import UnknownClaimError, find, folder_of
from initcheck.cli.main import main
from initcheck.faults import FAULTS
from tests.helpers.evidence import comparison, evidence

LIMITS = """
[sun_rises.accuracy]
min = 0.5
margin = -0.05
unit = "share"
kind = "measured"
why = "it always did"
fault = "leaky_relu"
"""
TEST = '''
import pytest

@pytest.mark.initcheck_claim(source="everyday life", kind="measured")
def test_sun_rises():
    """The sun rises."""
'''
VALUES = [NormalDist(0.803, 0.002).inv_cdf((i + 0.5) / 64) for i in range(64)]


@pytest.fixture
def project(tmp_path, monkeypatch, request):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "baselines" / "evidence").mkdir(parents=True)
    ini = "[pytest]\naddopts = -p no:initcheck\nmarkers = initcheck_claim\n"
    (tmp_path / "pytest.ini").write_text(ini)
    name = f"test_of_{request.node.name}.py"
    (tmp_path / "benchmarks" / name).write_text(TEST)
    (tmp_path / "baselines" / "limits.toml").write_text(LIMITS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys, name="sun_rises", code=0):
    assert main(["explain", name]) == code
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def test_claim_without_evidence(project, capsys):
    said = told(capsys)
    assert "statement The sun rises. kind measured source everyday life" in said
    assert "limit accuracy: min 0.5, gain above -0.05 share (measured)" in said
    assert "why there it always did" in said
    assert f"must notice leaky_relu: {FAULTS['leaky_relu'].breaks}" in said
    assert "evidence none was recorded" in said
    assert "at most 3.3e-03 of runs a comparison, 1% shared among 3" in said
    node = "pytest benchmarks/test_of_test_claim_without_evidence.py::test_sun_rises"
    assert f"run it {node} see it red {node} --initcheck-fault leaky_relu" in said


def test_folder_that_was_asked_for_stays_in_the_commands(project, capsys):
    (project / "baselines").rename(project / "other")
    assert main(["explain", "sun_rises", "--baselines", "other"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "::test_sun_rises --initcheck-baselines other --initcheck-fault leaky_relu" in said


def test_commands_ask_for_the_scale_that_the_claim_asks_for(project, capsys):
    """At brief scale a claim that uses the fixture full_scale is skipped."""
    marked = '@pytest.mark.usefixtures("full_scale")\n@pytest.mark.initcheck_claim'
    fixture = "@pytest.fixture\ndef full_scale():\n    pytest.skip()\n"
    (file,) = (project / "benchmarks").iterdir()
    file.write_text(TEST.replace("@pytest.mark.initcheck_claim", marked) + fixture)
    said = told(capsys)
    run = f"pytest benchmarks/{file.name}::test_sun_rises --initcheck-scale full"
    assert f"run it {run} see it red {run} --initcheck-fault leaky_relu record it {run} " in said


def test_claim_with_evidence(project, capsys):
    text = evidence("sun_rises", accuracy=comparison(VALUES))
    (project / "baselines" / "evidence" / "sun_rises.json").write_text(text)
    said = told(capsys)
    assert "2026-11-22, torch 2.14.1, cpu (an abacus), commit unknown: first light" in said
    assert "accuracy, treated warm: 0.803 +- 0.002 (N = 64); a shift of" in said
    assert "of logit" in said
    assert "accuracy, control cold: 0.1 (N = 64); exact" in said


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        (comparison([0.8 + 0.1 * (v > 0.803) + v / 1e3 for v in VALUES]), "; by ranks, a shift of"),
        (comparison([0.8] * 63 + [0.81]), "compared by ranks, which see no shift"),
        (comparison(VALUES[:20]), "too few seeds to compare outcomes"),
    ],
    ids=["ranks", "ranks see nothing", "few"],
)
def test_outcomes_that_cannot_be_compared_are_told(project, capsys, recorded, words):
    text = evidence("sun_rises", accuracy=recorded)
    (project / "baselines" / "evidence" / "sun_rises.json").write_text(text)
    assert words in told(capsys)


def test_unknown_claim_is_answered_with_near_ones(project, capsys):
    said = told(capsys, "sun_rise", code=4)
    assert said == "initcheck: there is no claim 'sun_rise'. Did you mean sun_rises?"


def test_nothing_near_is_not_made_up(project, capsys):
    assert told(capsys, "qqq", code=4).endswith("`initcheck claims` lists all.")


def claim(name, file="benchmarks/test_a.py"):
    return Claim(claim=name, kind="exact", source="", statement="", file=file, line=1)


def test_parameters_are_found_together_and_alone():
    claims = [claim("a[x]"), claim("a[y]"), claim("b")]
    assert find("test_a", claims) == claims[:2]
    assert find("a[y]", claims) == [claims[1]]
    with pytest.raises(UnknownClaimError):
        find("a[z]", claims)


def test_baselines_beside_the_claim_win(project):
    inner = project / "benchmarks" / "baselines"
    inner.mkdir()
    assert folder_of(claim("a")) == project / "baselines"
    (inner / "limits.toml").write_text("")
    assert folder_of(claim("a")) == inner


def test_baselines_of_a_claim_may_lie_any_number_of_folders_up(project):
    assert folder_of(claim("a", "benchmarks/deep/er/test_a.py")) == project / "baselines"
    (project / "baselines" / "limits.toml").unlink()
    deep = folder_of(claim("a", "benchmarks/deep/test_a.py"))
    assert deep == project / "benchmarks" / "baselines"  # where they would be missed


def test_missing_limits_ask_for_an_option_that_the_command_has(project, capsys):
    (project / "baselines" / "limits.toml").unlink()
    said = told(capsys, code=4)
    assert "Name another folder with --baselines DIR, which pytest knows as --init" in said
