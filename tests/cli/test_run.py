"""`initcheck.run` judges claims by name and gives the values of every seed as a table."""

from __future__ import annotations

import math
import random
import sys
from dataclasses import replace

import pytest

import initcheck
from initcheck.cli import run as module
from initcheck.cli.run import RunError, table
from initcheck.results import NotJudged
from tests.helpers.projects import CLAIMS
from tests.helpers.results import example, gain, passing, probe, refuted, result

TWO = """
@pytest.mark.parametrize("name", ["a", "b"])
@claim(source="a test", kind="exact")
def test_both_stay(verdict, name):
    '''It stays, whatever its name.'''
    verdict.holds(weight_magnitude, treated=ZEROS, control=HE)

@claim(source="a test", kind="exact")
def test_absent(verdict):
    '''It needs what is not here.'''
    pytest.skip("no such data")
"""
LIMITS = """
[zeros_stay.weight_magnitude]
max = 0
unit = "weight"
kind = "exact"
why = "because"
fault = "zeros_with_noise"

[both_stay.weight_magnitude]
max = 0
unit = "weight"
kind = "exact"
why = "because"
fault = "zeros_with_noise"
"""
NAMES = [
    "claim", "device", "comparison", "side", "arm", "seed", "value", "unit", "limit", "verdict",
]  # fmt: skip


@pytest.fixture
def two(project):
    """A project with three claims, one of which has two sets of parameters and one is skipped."""
    project.claims(f"import pytest\n{CLAIMS}\n{TWO}")
    project.limits(LIMITS)
    return project


# --- a run ----------------------------------------------------------------------------------------


def test_a_claim_gives_a_row_per_side_and_seed(two, capfd):
    random.seed(1)
    before, modules = random.getstate(), set(sys.modules)
    frame = initcheck.run("zeros_stay", device="cpu", seeds=2)
    assert [*frame.columns] == NAMES
    assert [*frame["side"]] == ["treated", "treated", "control", "control"]
    assert [*frame["arm"]] == ["zeros", "zeros", "he", "he"]
    assert frame["seed"].nunique() == 2
    assert (frame["value"][:2] == 0).all()
    assert (frame["value"][2:] > 0).all()
    same = frame[["claim", "device", "comparison", "unit", "limit", "verdict"]].drop_duplicates()
    assert same.to_numpy().tolist() == [
        ["zeros_stay", "cpu", "weight_magnitude", "weight", "<= 0", "pass"]
    ]
    assert frame.attrs["messages"] == {}
    assert capfd.readouterr() == ("", "")
    assert random.getstate() == before
    new = {name.partition(".")[0] for name in set(sys.modules) - modules}
    assert "test_claims" not in new, "the claims are imported in the other process"
    written = {path.name for path in two.path.iterdir()} - {"__pycache__"}
    assert written == {"baselines", "pytest.ini", "test_claims.py"}


def test_several_names_with_and_without_parameters(two):
    frame = initcheck.run(["both_stay[b]", "zeros_stay", "absent"], device=["cpu"], seeds=1)
    assert [*frame["claim"].unique()] == ["both_stay[b]", "zeros_stay", "absent[cpu]"]
    assert math.isnan(frame["value"].iloc[-1])


def test_a_claim_that_skips_itself_has_a_row_and_a_reason(two):
    frame = initcheck.run("absent", device="cpu")
    assert frame["verdict"].to_list() == ["not judged"]
    assert frame.attrs["messages"] == {"absent[cpu]": "no such data"}


def test_a_fault_makes_it_fail_with_a_message_and_verbose_prints(two, capfd):
    frame = initcheck.run(
        "zeros_stay", device="cpu", seeds=2, fault="zeros_with_noise", verbose=True
    )
    assert set(frame["verdict"]) == {"refuted"}
    (message,) = frame.attrs["messages"].values()
    assert message.startswith("REFUTED  zeros_stay[cpu]")
    assert "fault zeros_with_noise was caught by zeros_stay" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("name", "more", "sentence"),
    [
        ("zeros_stray", {}, "There is no claim 'zeros_stray'. Did you mean zeros_stay"),
        ("zeros_stay", {"device": "abacus"}, "abacus"),
        ("zeros_stay", {"fault": "nope"}, "There is no fault 'nope'"),
    ],
)
def test_what_is_not_there_is_named(two, name, more, sentence):
    with pytest.raises(RunError, match=r"[.?]$") as refused:
        initcheck.run(name, **more)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_claims_of_initcheck_are_found_from_a_folder_without_claims(tmp_path, monkeypatch):
    """Also if the folder for temporary files has a space in its name."""
    (tmp_path / "a b").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "a b"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="Did you mean he_beats_randn "):
        initcheck.run("he_beats_rand", device="cpu")


@pytest.mark.parametrize("names", [[], "", "--", ["--version"], [3], 3, None])
def test_what_is_no_name_is_refused_at_once(names, monkeypatch):
    monkeypatch.setattr(module, "_process", None)
    with pytest.raises(RunError, match="Name a claim"):
        initcheck.run(names)


def test_options_in_one_text_are_refused_at_once(monkeypatch):
    monkeypatch.setattr(module, "_process", None)
    with pytest.raises(RunError, match=r"options is one text, '-k x'. Give a list: \['-k', 'x'\]"):
        initcheck.run("he_learns", options="-k x")


# --- the table ------------------------------------------------------------------------------------


def test_every_comparison_is_in_the_table():
    frame = table(example(passing(), refuted(), result("g", gain("pass"))))
    assert [*frame["comparison"].unique()] == [
        "training_loss", "test_accuracy (celu)", "test_accuracy",
    ]  # fmt: skip
    assert frame.groupby("claim")["verdict"].first().to_dict() == {
        "g": "pass", "he_beats_randn": "pass", "he_learns_on_cuda": "refuted",
    }  # fmt: skip
    assert set(frame["device"]) == {"cpu", "cuda"}


def test_what_has_no_value_has_a_row():
    """So that a claim that was not judged cannot go unseen."""
    empty = result("empty", probe("invalid", treated=[], control=[]), message="INVALID  empty")
    broken = replace(result("broken", probe()), probes=[], verdict="invalid")
    lost = NotJudged(id="lost[cpu]", reason="the run ended before it")
    frame = table(replace(example(empty, broken), not_judged=[lost]))
    assert frame["verdict"].to_list() == ["invalid", "invalid", "not judged"]
    assert frame["value"].isna().all()
    assert frame["seed"].isna().all()
    assert frame.attrs["messages"] == {
        "empty[cpu]": "INVALID  empty", "lost[cpu]": "the run ended before it",
    }  # fmt: skip


def test_a_process_that_ends_without_a_sentence_shows_its_last_lines():
    told = module._why("line\n" * 30 + "Fatal: out of memory\n", 137)
    assert told.startswith("pytest ended with exit code 137 before")
    assert told.endswith("Fatal: out of memory")
    assert module._why("", 1).endswith("it printed nothing")


@pytest.mark.parametrize("option", ["--collect-only", "--help", "--markers"])
def test_an_option_with_which_nothing_is_judged_is_refused(option):
    with pytest.raises(RunError, match=rf"With the option {option} pytest judges no claim"):
        initcheck.run("he_beats_randn", options=["-q", option])
