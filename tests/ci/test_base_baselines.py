"""Which baselines judge a pull request: the base's for old claims, its own for new ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from initcheck.baselines.limits import read_limits
from initcheck.plugin.known import read_known
from tests.helpers.projects import ROOT, limit

SCRIPT = ROOT / ".ci" / "base_baselines.py"
OLD = limit("zeros_stay", "weight_magnitude", "max = 0")
MOVED = limit("zeros_stay", "weight_magnitude", "max = 5")
NEW = limit("he_learns", "loss", "max = 1.5", "measured")
KNOWN = """
[[failure]]
claim = "zeros_stay"
device = "xla"
torch = "2.9.1"
verdict = "refuted"
comparison = "weight_magnitude"
because = "they move"
reason = "It says \\"why\\": `- not green`."
reproduce = "python zeros.py"
"""


def folder(path: Path, limits: str, evidence: dict[str, float] | None = None, known: str = ""):
    (path / "evidence").mkdir(parents=True)
    (path / "limits.toml").write_text(limits)
    if known:
        (path / "known_failures.toml").write_text(known)
    for name, value in (evidence or {}).items():
        place = {
            "environment": {"device type": "cpu"},
            "comparisons": {"loss": {"treated": [value, value], "control": [0.0]}},
        }
        (path / "evidence" / f"{name}.json").write_text(json.dumps({"environments": [place]}))
    return path


@pytest.fixture
def judge(tmp_path):
    """Runs the script; returns what judges, and what was printed."""

    def run(base, ours):
        before, after, out = (tmp_path / name for name in ("base", "ours", "out"))
        folder(before, *base)
        folder(after, *ours)
        done = subprocess.run(
            [sys.executable, str(SCRIPT), "--base", str(before), "--ours", str(after),
             "--out", str(out)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return out, done.stdout

    return run


def test_without_a_change_the_base_judges_and_nobody_is_asked(judge):
    out, text = judge((OLD, {"zeros_stay": 1.0}), (OLD, {"zeros_stay": 1.0}))
    assert read_limits(out / "limits.toml")["zeros_stay"]["weight_magnitude"].high == 0
    assert text == "The baselines are those of the base.\n\napproval=none\n"


def test_a_moved_limit_does_not_judge_and_needs_approval(judge):
    out, text = judge((OLD,), (MOVED,))
    assert read_limits(out / "limits.toml")["zeros_stay"]["weight_magnitude"].high == 0
    assert "- `limit [zeros_stay.weight_magnitude]: max was 0, is 5`" in text
    assert text.endswith("approval=required\n")


def test_a_new_claim_is_judged_by_its_own(judge):
    out, text = judge((OLD,), (OLD + NEW, {"he_learns": 2.0}))
    limits = read_limits(out / "limits.toml")
    assert limits["he_learns"]["loss"].high == 1.5
    assert limits["he_learns"]["loss"].why == "because"
    assert (out / "evidence" / "he_learns.json").exists()
    assert "### Added" in text
    assert "- `evidence of he_learns`" in text
    assert text.endswith("approval=none\n")


def test_another_limit_of_an_old_claim_needs_approval(judge):
    other = limit("zeros_stay", "logit_spread", "max = 0.3")
    out, text = judge((OLD,), (OLD + other,))
    assert read_limits(out / "limits.toml")["zeros_stay"]["logit_spread"].high == 0.3
    assert "### Changed" in text
    assert "`limit [zeros_stay.logit_spread]: max 0.3, judged by its own" in text
    assert text.endswith("approval=required\n"), "its test may have left the base's limit"


def test_a_name_with_a_dot_is_one_name(judge):
    dotted = OLD.replace("zeros_stay.", '"zeros.stay".')
    out, text = judge((dotted,), (dotted,))
    assert [*read_limits(out / "limits.toml")] == ["zeros.stay"]
    assert text.endswith("approval=none\n")


def test_a_renamed_claim_can_be_green_but_needs_approval(judge):
    renamed = OLD.replace("zeros_stay", "zeros_remain")
    out, text = judge((OLD, {"zeros_stay": 1.0}), (renamed, {"zeros_remain": 1.0}))
    assert [*read_limits(out / "limits.toml")] == ["zeros_remain"], "an orphan would end the run"
    assert [path.name for path in (out / "evidence").iterdir()] == ["zeros_remain.json"]
    assert "- `limit [zeros_stay.weight_magnitude]: max 0`" in text
    assert text.endswith("approval=required\n")


def test_changed_evidence_does_not_judge_and_is_shown(judge):
    out, text = judge((OLD, {"zeros_stay": 1.0}), (OLD, {"zeros_stay": 3.0}))
    whole = json.loads((out / "evidence" / "zeros_stay.json").read_text())
    assert whole["environments"][0]["comparisons"]["loss"]["treated"] == [1.0, 1.0]
    assert "evidence of zeros_stay: cpu loss treated: mean was 1.0, is 3.0" in text
    assert text.endswith("approval=required\n")


def test_a_pull_request_cannot_excuse_an_old_claim(judge):
    out, text = judge((OLD,), (OLD, None, KNOWN))
    assert read_known(out) == ()
    assert "- `known failure of zeros_stay, xla, 2.9.1, weight_magnitude, refuted" in text
    assert text.endswith("approval=required\n")


def test_a_known_failure_of_a_new_claim_and_of_the_base_excuse(judge):
    new = KNOWN.replace("zeros_stay", "he_learns")
    out, text = judge((OLD, None, KNOWN), (OLD + NEW, None, KNOWN + new))
    assert [each.claim for each in read_known(out)] == ["zeros_stay", "he_learns"]
    assert text.endswith("approval=none\n")


def test_text_of_a_pull_request_cannot_look_like_the_page(judge):
    _, text = judge((OLD,), (OLD.replace('"because"', '"a `b`\\n\\n## All is well"'),))
    assert "\n## All is well" not in text
    assert "a 'b' ## All is well" in text


def test_an_unusable_file_is_a_sentence(tmp_path):
    base, ours = folder(tmp_path / "base", OLD), folder(tmp_path / "ours", "[broken")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--base", str(base), "--ours", str(ours), "--out",
         str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert "is not TOML" in done.stderr


def test_the_baselines_of_the_checkout_are_written_as_they_are(tmp_path):
    ours, out = ROOT / "baselines", tmp_path / "out"
    subprocess.run(
        [sys.executable, str(SCRIPT), "--base", str(ours), "--ours", str(ours), "--out", str(out)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert read_limits(out / "limits.toml") == read_limits(ours / "limits.toml")
    names = {path.name for path in (ours / "evidence").glob("*.json")}
    assert {path.name for path in (out / "evidence").iterdir()} == names
    assert read_known(out) == read_known(ours)
