"""`initcheck explain`, on a made-up project: every line comes from its files."""

from __future__ import annotations

from dataclasses import replace
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
from initcheck import SGD, Arm, Recipe, mlp
from initcheck.initializers import he, zeros

def accuracy(trained): ...

@pytest.fixture
def verdict(): ...

@pytest.mark.initcheck_claim(source="everyday life; x-1", kind="measured")
def test_sun_rises(verdict):
    """The sun rises.

    Every day."""
    recipe = Recipe(SGD(lr=0.1), batch=32, steps=5)
    warm, cold = (Arm(mlp(784, 8, 10), start, recipe) for start in (he, zeros))
    verdict.holds(accuracy, treated=warm, control=cold)
    verdict.gains(accuracy, better=warm, worse=cold, case="no better")
'''
SOURCES = '| <a id="x-1"></a>`x-1` | It `rises`, see [it](#it). | a window |\n'
VALUES = [NormalDist(0.803, 0.002).inv_cdf((i + 0.5) / 64) for i in range(64)]


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "baselines" / "evidence").mkdir(parents=True)
    ini = "[pytest]\naddopts = -p no:initcheck\nmarkers = initcheck_claim\n"
    (tmp_path / "pytest.ini").write_text(ini)
    # This process keeps test modules by name, so each project has its own name.
    (tmp_path / "benchmarks" / f"{tmp_path.name}.py").write_text(TEST)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "sources.md").write_text(SOURCES)
    (tmp_path / "baselines" / "limits.toml").write_text(LIMITS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explained(capsys, *arguments, name="sun_rises", code=0):
    """What the command prints, with the folds of long lines taken out."""
    assert main(["explain", name, *arguments]) == code
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


def test_a_claim_is_explained_from_its_test_its_limits_and_its_sources(project, capsys):
    text = explained(capsys)
    assert "statement The sun rises. details Every day. kind measured: the limit is placed" in text
    assert "regime ReLU network 784-8-10; SGD (lr 0.1) for 5 steps; batch 32; mnist5k" in text
    assert (
        "judged accuracy (share): treated at least 0.5, control below (measured) "
        "judged accuracy, no better (share): better less than 0.05 below worse, paired by seed "
        "(measured) why there it always did "
        "must catch leaky_relu: ReLU returns a hundredth of negative inputs instead of 0." in text
    )
    assert "source everyday life; x-1 x-1: It rises, see it. (a window) written in" in text
    assert "evidence none is recorded" in text
    assert "split over 3 registered comparisons (3.3e-03 each" in text


def test_the_commands_run_the_claim_break_it_and_record_it(project, capsys):
    (file,) = (project / "benchmarks").iterdir()
    run = f"pytest benchmarks/{file.name}::test_sun_rises"
    text = explained(capsys)
    assert f"run it {run} see it fail {run} --initcheck-fault leaky_relu record it {run} " in text


def test_the_commands_name_the_parameters_that_were_named(project, capsys):
    """They are quoted for a shell. The device is the one that claims are listed for."""
    (file,) = (project / "benchmarks").iterdir()
    mark = '@pytest.mark.parametrize("unit", ["a b", "c"])\n@pytest.mark.initcheck_claim'
    file.write_text(
        TEST.replace("@pytest.mark.initcheck_claim", mark).replace(
            "(verdict):\n", "(verdict, unit):\n"
        )
    )
    test = f"benchmarks/{file.name}::test_sun_rises"
    run = f"pytest '{test}[a b]'"
    text = explained(capsys, name="sun_rises[a b]")
    assert f"run it {run} see it fail {run} --initcheck-fault leaky_relu record it {run} " in text
    assert f"run it pytest {test} see it fail" in explained(capsys)


def test_a_limit_that_names_no_fault_is_refused(project, capsys):
    limits = LIMITS.replace("leaky_relu", "leeky_relu")
    (project / "baselines" / "limits.toml").write_text(limits)
    error = explained(capsys, code=4)
    assert "There is no fault 'leeky_relu'. Did you mean leaky_relu" in error


def test_all_but_the_commands_fits_in_80_columns(project, capsys):
    main(["explain", "sun_rises"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > 80 and " pytest " not in line] == []


def test_a_claim_whose_test_needs_other_fixtures_shows_its_limits_alone(project, capsys):
    (file,) = (project / "benchmarks").iterdir()
    other = "@pytest.fixture\ndef other(): ...\n"
    file.write_text(TEST.replace('(verdict):\n    "', '(verdict, other):\n    "') + other)
    text = explained(capsys)
    assert "regime Known only when the claim runs: its test uses the fixture other." in text
    assert "judged accuracy: min 0.5, gain above -0.05 share (measured) why there it" in text


def test_a_comparison_without_a_usable_limit_is_named(project, capsys):
    (project / "baselines" / "limits.toml").write_text(LIMITS.replace("margin = -0.05", ""))
    assert "judged accuracy (no better): no limit to judge by why there" in explained(capsys)


def test_other_faults_that_the_claim_must_notice_are_listed_by_name(project, capsys, monkeypatch):
    kills = replace(FAULTS["lr_halved"], kills=("sun_rises",))
    monkeypatch.setitem(FAULTS, "lr_halved", kills)
    assert "negative inputs instead of 0. and lr_halved source" in explained(capsys)


def test_the_commands_name_baselines_that_were_requested(project, capsys):
    (project / "baselines").rename(project / "other")
    text = explained(capsys, "--baselines", "other")
    assert "::test_sun_rises --initcheck-baselines other --initcheck-fault leaky_relu" in text


def test_the_commands_of_a_claim_of_full_scale_request_full_scale(project, capsys):
    """At brief scale a claim that uses the fixture full_scale is skipped."""
    marked = '@pytest.mark.usefixtures("full_scale")\n@pytest.mark.initcheck_claim'
    fixture = "@pytest.fixture\ndef full_scale():\n    pytest.skip()\n"
    (file,) = (project / "benchmarks").iterdir()
    file.write_text(TEST.replace("@pytest.mark.initcheck_claim", marked) + fixture)
    run = f"pytest benchmarks/{file.name}::test_sun_rises --initcheck-scale full"
    text = explained(capsys)
    assert f"run it {run} see it fail {run} --initcheck-fault leaky_relu record it {run} " in text


def test_recorded_evidence_is_shown_with_the_shift_that_is_detected(project, capsys):
    text = evidence("sun_rises", accuracy=comparison(VALUES))
    (project / "baselines" / "evidence" / "sun_rises.json").write_text(text)
    text = explained(capsys)
    assert "2026-11-22, torch 2.14.1, cpu (an abacus), commit unknown: first light" in text
    assert "accuracy, treated warm: 0.803 +- 0.002 (N = 64); a shift of" in text
    assert "in logit" in text
    assert "accuracy, control cold: 0.1 (N = 64); equal on all seeds" in text


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        (comparison([0.8 + 0.1 * (v > 0.803) + v / 1e3 for v in VALUES]), "; by ranks, a shift of"),
        (comparison([0.8] * 63 + [0.81]), "compared by ranks, which detect no shift"),
        (comparison(VALUES[:20]), "too few seeds to compare outcomes"),
    ],
    ids=["ranks", "ranks detect nothing", "few seeds"],
)
def test_it_says_how_far_outcomes_can_be_compared(project, capsys, recorded, words):
    text = evidence("sun_rises", accuracy=recorded)
    (project / "baselines" / "evidence" / "sun_rises.json").write_text(text)
    assert words in explained(capsys)


def test_an_unknown_claim_is_refused_with_similar_names(project, capsys):
    error = explained(capsys, name="sun_rise", code=4)
    assert error == "initcheck: There is no claim 'sun_rise'. Did you mean sun_rises?"


def test_a_name_like_no_other_is_refused_with_the_command_that_lists_claims(project, capsys):
    error = explained(capsys, name="qqq", code=4)
    assert error.endswith("`initcheck claims` lists all claims.")


def claim(name, file="benchmarks/test_a.py"):
    return Claim(claim=name, kind="exact", source="", statement="", file=file, line=1)


def test_a_claim_is_found_with_all_its_parameters_or_with_one_set():
    claims = [claim("a[x]"), claim("a[y]"), claim("b")]
    assert find("test_a", claims) == claims[:2]
    assert find("a[y]", claims) == [claims[1]]
    with pytest.raises(UnknownClaimError):
        find("a[z]", claims)


def test_the_baselines_next_to_the_claim_come_first(project):
    inner = project / "benchmarks" / "baselines"
    inner.mkdir()
    assert folder_of(claim("a")) == project / "baselines"
    (inner / "limits.toml").write_text("")
    assert folder_of(claim("a")) == inner


def test_the_baselines_of_a_claim_may_be_any_number_of_folders_up(project):
    assert folder_of(claim("a", "benchmarks/deep/er/test_a.py")) == project / "baselines"
    (project / "baselines" / "limits.toml").unlink()
    deep = folder_of(claim("a", "benchmarks/deep/test_a.py"))
    assert deep == project / "benchmarks" / "baselines"  # where limits.toml is then missing


def test_missing_limits_are_refused_with_an_option_that_the_command_has(project, capsys):
    (project / "baselines" / "limits.toml").unlink()
    assert "--baselines DIR" in explained(capsys, code=4)


def test_the_fault_that_breaks_its_hypothesis_is_named_and_can_be_seen(project, capsys):
    name = "zero_draws_no_randomness"
    for file in (*(project / "benchmarks").glob("*.py"), project / "baselines" / "limits.toml"):
        file.write_text(file.read_text().replace("sun_rises", name))
    text = explained(capsys, name=name)
    assert (
        "broken by hadamard_with_noise (hypothesis: The Hadamard transform is computed, and "
        "nothing is drawn.)" in text
    )
    assert f"::test_{name} --initcheck-fault hadamard_with_noise" in text
