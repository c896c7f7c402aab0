"""known_failures.toml: what is refused, and that an entry excuses one way to fail and no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from initcheck.baselines.evidence import BaselineError
from initcheck.plugin.known import KnownFailure, excused, read_known
from tests.helpers import results as helpers
from tests.helpers.projects import ROOT
from tests.helpers.results import probe

TORCH = "2.9.1+cpu"
ENTRY = """
[[failure]]
claim = "gain_moves"
device = "xla"
torch = "2.9.1"
verdict = "drifted"
comparison = "gain (small)"
because = "left its rounding envelope"
reason = "The gradient of the gain is wrong."
reproduce = "python gain.py"
"""
KNOWN = KnownFailure(
    "gain_moves", "xla", "2.9.1", "drifted", "gain (small)", "left its rounding envelope",
    "The gradient of the gain is wrong.", "python gain.py",
)  # fmt: skip
RED = probe(
    "drifted", probe="gain", case="small", reason="The treated arm left its rounding\nenvelope."
)


def result(*probes, device="xla", verdict="drifted", message="DRIFTED", parameters=""):
    return helpers.result(
        "gain_moves", *probes, device=device, verdict=verdict, message=message,
        parameters=parameters,
    )  # fmt: skip


def test_an_entry_is_read(tmp_path):
    (tmp_path / "known_failures.toml").write_text(ENTRY)
    assert read_known(tmp_path) == (KNOWN,)


def test_without_a_file_nothing_is_known(tmp_path):
    assert read_known(tmp_path) == ()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[[failure]]", "[failure]", "has a table [failure]"),
        ("[[failure]]", "[[failures]]", "has 'failures'"),
        ("device =", "devices =", "unknown key 'devices'"),
        ('because = "left its rounding envelope"', "", "lacks 'because'"),
        ('because = "left its rounding envelope"', 'because = " "', "lacks 'because'"),
        ('torch = "2.9.1"', "torch = 2.9", "lacks 'torch'"),
        ('"drifted"', '"pass"', "has verdict 'pass'. Write one of inconclusive, drifted"),
        ('"drifted"', '"red"', "has verdict 'red'"),
        ("[[failure]]", "[[failure", "is not valid TOML"),
    ],
)
def test_an_unusable_file_is_refused(tmp_path, old, new, words):
    path = tmp_path / "known_failures.toml"
    path.write_text(ENTRY.replace(old, new))
    with pytest.raises(BaselineError) as error:
        read_known(tmp_path)
    assert words in str(error.value)
    assert str(path) in str(error.value)


def test_two_entries_about_one_comparison_are_refused(tmp_path):
    path = tmp_path / "known_failures.toml"
    path.write_text(ENTRY + ENTRY.replace("envelope", "limit"))
    with pytest.raises(BaselineError, match=r"two entries about 'gain \(small\)' of gain_moves"):
        read_known(tmp_path)


def test_the_failure_that_is_named_is_excused():
    found = excused(result(RED), [KNOWN], TORCH)
    assert found.known == KNOWN.reason
    assert found.verdict == "drifted"
    assert not found.fails


@pytest.mark.parametrize(
    "other",
    [
        result(replace(RED, verdict="refuted"), verdict="refuted"),
        result(replace(RED, reason="all seeds are identical")),
        result(replace(RED, case="large")),
        result(RED, replace(RED, probe="loss")),
        result(RED, RED),
        result(RED, verdict="invalid"),
        result(verdict="invalid", message="RuntimeError: left its rounding envelope"),
    ],
    ids=[
        "another verdict", "another reason", "another comparison", "one more comparison",
        "the same twice", "the claim is worse than its comparisons", "no comparison at all",
    ],
)  # fmt: skip
def test_another_failure_is_red_and_says_what_was_expected(other):
    found = excused(other, [KNOWN], TORCH)
    assert not found.known
    assert found.fails
    assert "expects another failure here: gain (small) drifted because of" in found.message


@pytest.mark.parametrize(
    ("elsewhere", "torch"),
    [
        (result(RED, device="cpu"), TORCH),
        (result(RED), "2.10.0"),
        (result(RED, parameters="adam"), TORCH),
    ],
    ids=["another device", "another torch", "other parameters"],
)
def test_elsewhere_nothing_is_excused(elsewhere, torch):
    assert excused(elsewhere, [KNOWN], torch) == elsewhere


def test_an_index_of_the_device_does_not_matter():
    found = excused(result(RED, device="xla:0"), [KNOWN], TORCH)
    assert found.known == KNOWN.reason


def test_a_known_failure_that_passes_is_red():
    green = result(replace(RED, verdict="pass"), verdict="pass", message="")
    found = excused(green, [KNOWN], "2.9.1")
    assert found.fails
    assert "lists it as a known failure with torch 2.9.1, and it passes" in found.message


def test_one_of_two_known_failures_that_passes_is_red():
    both = [KNOWN, replace(KNOWN, comparison="loss")]
    assert not excused(result(RED, replace(RED, probe="loss", case="")), both, TORCH).fails
    assert excused(result(RED), both, TORCH).fails


def test_a_claim_that_failed_before_it_could_judge_is_known_by_its_message():
    crash = replace(KNOWN, verdict="invalid", comparison="", because="only one element tensors")
    broken = result(verdict="invalid", message="ValueError: only one element\ntensors can be")
    assert not excused(broken, [crash], TORCH).fails
    assert excused(replace(broken, message="RuntimeError: killed"), [crash], TORCH).fails


def test_each_entry_of_the_checkout_names_a_section_that_shows_its_cause():
    page = (ROOT / "docs" / "found.md").read_text(encoding="utf-8")
    for entry in read_known(ROOT / "baselines"):
        name = entry.reproduce.removeprefix("docs/found.md, ")
        assert f"\n## {name}\n" in page, entry.reproduce
