"""The page of torch releases, from measurements that are made up, and the one in the checkout."""

from __future__ import annotations

import json

import pytest

from tests.versions.__main__ import PAGE, RUNS
from tests.versions.environment import ROOT
from tests.versions.page import page

STREAM = {"digest": "0", "last": [0.5, -0.5]}
GATE = {
    "platform": "Linux", "commit": "abc", "seconds": 200, "processor": 300, "arms": 1,
    "verdicts": {"he_learns[cpu]": "pass", "zeros_stay[cpu]": "pass"}, "red": [],
    "not_judged": [], "other_starts": [],
    "farthest": [{"claim": "he_learns", "probe": "loss", "arm": "he", "r": 0.25, "tensor": "w",
                  "step": 3}],
}  # fmt: skip
RED = {
    "verdicts": {"he_learns[cpu]": "drifted", "zeros_stay[cpu]": "pass"},
    "red": [{"id": "he_learns[cpu]", "verdict": "drifted", "reasons": ["loss drifted: it left"]}],
}
EXAMPLES = {
    "streams": {"randn": STREAM, "rand": STREAM},
    "inspected": [{"name": "Lora", "ok": True, "expected": ["fail asleep"], "found": []}],
    "followed": [{"name": "lora", "verdict": "unchanged", "r": 0.5, "why": "", "tensor": "",
                  "reference": "2.14.1"}],
}  # fmt: skip


@pytest.fixture
def written(tmp_path):
    """Writes measurements and returns the page."""

    def write(*pairs):
        for torch, python, parts in pairs:
            whole = {"torch": torch, "torchvision": "0.1", "python": python} | parts
            (tmp_path / f"torch-{torch}-python-{python}.json").write_text(json.dumps(whole))
        return page(tmp_path)

    return write


def test_each_pair_has_a_row_the_newest_first(written):
    text = written(
        ("2.9.1", "3.11", {"gate": GATE}), ("2.10.0", "3.11", {"gate": GATE | RED}),
    )  # fmt: skip
    rows = [line for line in text.splitlines() if line.startswith(("| 2.9.1", "| 2.10.0"))]
    rest = "0.25 | he_learns: he, w | 0 | 200 | 300 | abc |"
    assert rows == [
        f"| 2.10.0 | 0.1 | 3.11 | 2 | 1 | 1 drifted | {rest}",
        f"| 2.9.1 | 0.1 | 3.11 | 2 | 2 | - | {rest}",
    ]
    assert "The gate ran with 2 environments, 1 of them with nothing but `pass`" in text


def test_what_is_not_green_is_named_with_its_releases_and_reason(written):
    text = written(
        ("2.9.1", "3.11", {"gate": GATE | RED}), ("2.10.0", "3.11", {"gate": GATE | RED}),
    )  # fmt: skip
    assert "- `he_learns[cpu]`: drifted with 2.10.0; 2.9.1. With 2.10.0:" in text
    assert "    - loss drifted: it left" in text


def test_a_changed_stream_has_a_row(written):
    other = {"randn": STREAM, "rand": {"digest": "1", "last": [0.1, 0.2]}}
    text = written(
        ("2.9.1", "3.11", {"examples": EXAMPLES | {"streams": other}}),
        ("2.10.0", "3.11", {"examples": EXAMPLES}),
    )
    assert "1 of 2 draws have the same bits in all 2 environments" in text
    assert "| `rand` | another draw |" in text
    assert "| `randn` |" not in text


def test_two_pythons_of_one_torch_are_told_apart(written):
    text = written(
        ("2.10.0", "3.11", {"examples": EXAMPLES}), ("2.10.0", "3.13", {"examples": EXAMPLES}),
    )  # fmt: skip
    assert "- torch 2.10.0, 3.13: 1 of 1 as expected." in text


def test_examples_that_are_not_as_expected_are_named(written):
    wrong = {
        "inspected": [{"name": "Lora", "ok": False, "expected": ["fail asleep"], "found": []}],
        "followed": [{"name": "lora", "verdict": "changed", "r": 12.0, "why": "It left.",
                      "reference": "2.14.1", "tensor": "b"}],
    }  # fmt: skip
    text = written(("2.9.1", "3.11", {"examples": EXAMPLES | wrong}))
    assert "    - Lora: expected fail asleep, found nothing" in text
    assert "| 2.9.1 | 12 |" in text
    assert "- torch 2.9.1, lora: changed. It left." in text


def test_a_part_that_ended_early_is_named(written):
    text = written(
        ("2.9.1", "3.11", {"gate": {"error": "no result after 3600 s", "commit": "abc"}}),
        ("2.13.0", "3.11", {"error": "No matching distribution"}),
    )
    assert "- torch 2.9.1, gate: no result after 3600 s" in text
    assert "- torch 2.13.0: No matching distribution" in text


def test_the_page_is_that_of_its_measurements():
    assert PAGE.read_text(encoding="utf-8") == page(RUNS)


def test_the_plan_for_many_machines_has_the_measured_costs():
    words = " ".join((ROOT / "docs" / "speed.md").read_text(encoding="utf-8").split())
    newest = json.loads((RUNS / "torch-2.14.1-python-3.11.json").read_text())["gate"]
    each = newest["processor"] / len(newest["verdicts"])
    hours = each * 1000 * 12 * 8 / 3600
    assert f"a claim took {each:.2f} s of processor time" in words
    minutes = each * 1000 / 60
    assert f"takes {minutes:.0f} minutes of one core, and 96 runs take {hours:.0f} hours" in words
    assert f"On 24 cores they are done in {hours / 24:.1f} hours" in words


def test_what_is_found_with_some_releases_only_is_named(written):
    def found(*words):
        once = {"name": "Lora", "ok": True, "expected": ["fail asleep"], "found": [*words]}
        return {"examples": EXAMPLES | {"inspected": [once]}}

    more = ("2.10.0", "3.11", found("fail asleep", "warn scale"))
    text = written(more, ("2.9.1", "3.11", found("fail asleep")))
    assert "- `Lora`: also warn scale with 2.10.0. Not explained." in text
    assert "also" not in written(("2.9.1", "3.11", found("fail asleep", "warn scale")), more)
    assert "Not explained" not in PAGE.read_text(encoding="utf-8")


WHY = "the treated arm left its rounding envelope at step 0 in hidden1.bias by 9510 envelopes"


@pytest.mark.parametrize(
    ("claim", "reasons", "known"),
    [
        ("random_biases_trail_further_under_sgd[xla]", [f"test_accuracy drifted: {WHY}"], 1),
        ("random_biases_trail_further_under_sgd[xla]", [f"test_accuracy refuted: {WHY}"], 0),
        ("random_biases_trail_further_under_sgd[xla]", ["test_accuracy drifted: it moved"], 0),
        ("random_biases_break_symmetry[xla]", [f"test_accuracy (normal) drifted: {WHY}"], 0),
        ("random_biases_trail_further_under_sgd[relu-xla]", [f"test_accuracy drifted: {WHY}"], 0),
    ],
)
def test_a_failure_that_got_an_entry_after_its_run_is_known(tmp_path, claim, reasons, known):
    red = {"id": claim, "verdict": "drifted", "reasons": reasons}
    file = GATE | {"verdicts": {claim: "drifted"}, "red": [red], "known": []}
    whole = {"device": "xla", "torch": "2.9.1+cu128", "backend": "", "files": {"test_a.py": file}}
    (tmp_path / "xla-torch-2.9.1.json").write_text(json.dumps(whole))
    text = page(tmp_path)
    assert f"1 drifted; {known} of them known failures; 0 not judged in time." in text
    assert (f"- Known: `{claim}`, drifted." in text) == bool(known)
    assert (f"- `{claim}`: drifted:" in text) != bool(known)


def test_a_claim_that_an_older_release_skips_is_named(written):
    fewer = GATE | {"verdicts": {"zeros_stay[cpu]": "pass"}}
    text = written(("2.10.0", "3.11", {"gate": GATE}), ("2.9.1", "3.11", {"gate": fewer}))
    assert "## Skipped\n\n- `he_learns[cpu]`: not with 2.9.1.\n" in text
    late = fewer | {"not_judged": [{"id": "he_learns[cpu]", "reason": "stopped"}]}
    text = written(("2.10.0", "3.11", {"gate": GATE}), ("2.9.1", "3.11", {"gate": late}))
    assert "## Skipped\n\nNone.\n" in text
