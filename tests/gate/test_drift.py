"""Drift: how envelope, start and outcomes decide a verdict, on scripted values."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from initcheck.envelope.compare import Departure
from initcheck.gate import drift
from tests.helpers.verdict import (
    CONTROL,
    RATE,
    TREATED,
    at,
    evidence,
    judged,
    normal,
)


@pytest.fixture(autouse=True)
def follows(monkeypatch):
    """What the envelope says of each arm: unchanged, unless a test says otherwise."""
    said = {TREATED: Departure(1.0), CONTROL: Departure(1.0)}
    monkeypatch.setattr(drift.reference, "compare", lambda arm, trained, reference: said[arm])
    return said


LEFT = Departure(40.0, first_step=4, first_layer="hidden1")
OTHER_START = Departure(None, first_layer="output.weight", start=False, why_not="the start")


def test_as_recorded():
    entry = judged(entry=evidence())
    assert entry["verdict"] == "pass"
    treated = entry["drift"]["treated"]
    assert treated["verdict"] == "unchanged"
    assert treated["r"] == 1.0
    assert treated["recorded_n"] == 64
    assert treated["detectable_shift"] > treated["allowed"]
    assert entry["drift"]["control"] == {
        "verdict": "unchanged", "r": 1.0, "loss_r": None, "first_step": None, "tensor": None,
        "tensor_r": None, "first_layer": None, "note": "",
        "environment": "cpu float32, torch 2.0, 2026-01-01",
    }  # fmt: skip  # a constant arm's distribution is not tested


@pytest.mark.parametrize("arm", [TREATED, CONTROL])
def test_envelope_departure_alone_is_drifted_and_names_step_and_layer(follows, arm):
    follows[arm] = LEFT
    entry = judged(entry=evidence())
    assert (entry["verdict"], entry["stage"]) == ("drifted", 1)  # arithmetic needs no fresh seeds
    side = "treated" if arm == TREATED else "control"
    assert entry["drift"][side]["verdict"] == "left"
    assert entry["drift"][side]["first_step"] == 4
    outcome = (
        "outcomes unmoved (-0.1 standard deviations)" if arm == TREATED else "outcomes not compared"
    )
    words = f"the {side} arm left its rounding envelope at step 4, first in hidden1"
    assert entry["reason"] == f"{words} (r = 40, 10 allowed); {outcome}"


def test_the_tensor_that_left_first_is_in_the_results_and_in_the_reason(follows):
    follows[TREATED] = replace(LEFT, loss_r=1.5, tensor="hidden1.weight", tensor_r=22.0)
    entry = judged(entry=evidence())
    treated = entry["drift"]["treated"]
    assert (treated["r"], treated["loss_r"]) == (40, 1.5)
    assert (treated["tensor"], treated["tensor_r"]) == ("hidden1.weight", 22)
    assert "at step 4 in hidden1.weight by 22 envelopes, first in hidden1 (" in entry["reason"]


def test_departure_says_by_how_much_outcomes_moved(follows):
    follows[TREATED] = LEFT
    entry = judged(at(0.7, 0.7), entry=evidence())
    assert entry["verdict"] == "drifted"
    assert entry["drift"]["treated"]["verdict"] == "left"
    assert "; outcomes moved by -" in entry["reason"]
    assert entry["stage"] == 2


@pytest.mark.parametrize(
    ("first", "fresh", "verdict", "stage"),
    [(0.7, 0.7, "drifted", 2), (0.7, 0.9, "pass", 2), (0.9, 0.7, "pass", 1)],
)
def test_distribution_is_moved_only_if_it_is_twice(first, fresh, verdict, stage):
    entry = judged(at(first, fresh), entry=evidence())
    assert (entry["verdict"], entry["stage"]) == (verdict, stage)
    name = "moved" if verdict == "drifted" else "unchanged"
    assert entry["drift"]["treated"]["verdict"] == name


def test_two_different_failures_confirm_neither():
    """Outside the limit first, moved on fresh seeds only: the first is not confirmed."""
    wide = evidence(normal(0.55, 0.01))
    assert judged(at(0.49, 0.9), entry=wide)["verdict"] == "drifted"  # moved both times
    near = evidence(normal(0.49, 0.01))
    entry = judged(at(0.49, 0.9), entry=near)
    assert entry["verdict"] == "pass"


def test_refuted_wins_over_drifted():
    assert judged(at(0.4, 0.4), entry=evidence())["verdict"] == "refuted"


def test_shift_below_a_tenth_of_the_distance_does_not_matter():
    tight = evidence(normal(0.9, 1e-4))
    assert judged(at(0.83, 0.83), entry=tight)["verdict"] == "pass"
    assert judged(at(0.81, 0.81), entry=tight)["verdict"] == "drifted"


def test_other_start_is_said_and_left_to_the_distribution(follows):
    follows[TREATED] = OTHER_START
    entry = judged(entry=evidence())
    assert entry["verdict"] == "pass"
    assert entry["drift"]["treated"]["verdict"] == "other start"
    assert (
        "the treated arm starts from other values, first in output.weight; outcomes"
        in entry["reason"]
    )
    assert judged(at(0.7, 0.7), entry=evidence())["verdict"] == "drifted"


def recorded_with(version):
    """Evidence of a torch version."""
    entry = evidence()
    return entry | {"environment": entry["environment"] | {"torch": version}}


@pytest.mark.parametrize("build", ["", "+cpu", "+cu999"])
def test_other_start_under_the_recorded_torch_is_drifted(follows, build):
    follows[TREATED] = OTHER_START
    release = torch.__version__.partition("+")[0]
    entry = judged(entry=recorded_with(release + build))
    assert (entry["verdict"], entry["stage"]) == ("drifted", 1)
    assert entry["drift"]["treated"]["verdict"] == "changed start"
    words = (
        "starts from other values, first in output.weight, although the torch release is the "
        "recorded one"
    )
    assert (
        entry["reason"] == f"the treated arm {words}; outcomes unmoved (-0.1 standard deviations)"
    )
    assert judged(entry=recorded_with(release + "1"))["verdict"] == "pass"


def test_other_images_first_are_named(follows):
    follows[TREATED] = Departure(None, start=False, why_not="the data order has changed")
    assert "the treated arm sees other images first; outcomes" in judged(entry=evidence())["reason"]
    assert judged(entry=recorded_with(torch.__version__))["verdict"] == "drifted"


def test_seeds_that_are_alike_are_drifted_whatever_the_torch(follows):
    follows[CONTROL] = replace(OTHER_START, alike=True)
    entry = judged(entry=evidence())
    assert entry["verdict"] == "drifted"
    assert entry["drift"]["control"]["verdict"] == "alike"
    assert "all seeds of the control arm are identical, and they differed when" in entry["reason"]


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        (None, "no evidence"),
        (evidence() | {"comparisons": {}}, "no evidence"),
        (evidence(hash="0" * 16), "stale"),
        (evidence() | {"data": {"mnist5k": "other"}}, "stale"),
    ],
)
def test_lacking_evidence_is_named_and_invalid_only_where_required(entry, name):
    free = judged(at(0.7, 0.7), entry=entry)
    assert free["verdict"] == "pass"
    assert {d["verdict"] for d in free["drift"].values()} == {name}
    required = judged(entry=entry, require_evidence=True)
    assert required["verdict"] == "invalid"
    assert "this run requires" in required["reason"]
    assert "this run requires" not in free["reason"]
    recording = judged(entry=entry, require_evidence=True, recording="first")
    assert recording["verdict"] == "pass"  # else nothing could ever be recorded


def test_stale_evidence_says_why():
    stale = judged(entry=evidence(hash="0" * 16))
    assert stale["reason"].count("the claim, an arm or the probe has changed since") == 1
    other = judged(entry=evidence() | {"data": {"mnist5k": "other"}})
    assert "recorded on other data than this mnist5k" in other["reason"]


def test_results_file_takes_every_entry(follows):
    """What is only for the verdict itself stays out of the file."""
    follows[TREATED] = LEFT
    follows[CONTROL] = replace(OTHER_START, alike=True)
    for entry in (judged(entry=evidence()), judged(), judged(at(0.7, 0.7), entry=evidence())):
        for found in entry["drift"].values():
            assert not set(found) & set(drift.INTERNAL)


def test_rate_is_sharpened_by_what_was_recorded():
    script = at([1.0] * 12 + [0.0] * 4, [1.0] * 12 + [0.0] * 4, control=0.0)
    recorded = evidence([1.0] * 64, [0.0] * 64, form="rate")
    assert judged(script, form="rate", limit=RATE)["verdict"] == "pass"
    entry = judged(script, form="rate", limit=RATE, entry=recorded)
    assert entry["verdict"] == "refuted"
    assert "12 of 16 treated seeds succeed, and 13 must" in entry["reason"]


def test_evidence_is_not_blamed_for_a_value_that_is_no_number():
    entry = judged(lambda arm, stage: math.nan, entry=None, require_evidence=True)
    assert (entry["verdict"], "evidence" in entry["reason"]) == ("invalid", False)
