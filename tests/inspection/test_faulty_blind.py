"""Faults that were written without sight of the checks: found, noted or missed, and why."""

from __future__ import annotations

import re

import pytest

from initcheck import inspect_model
from tests.helpers.projects import ROOT
from tests.inspection import faulty_blind, faulty_blind_more

CASES = faulty_blind.CASES | faulty_blind_more.CASES

FOUND = {
    "adapter_both_zero": ("asleep", "fail"),
    "twin_critics_copied": ("distinct", "fail"),
    "default_activation_shared": ("rebuilt", "fail"),
    "tied_by_data": ("tied", "fail"),
    "rotary_lost_on_meta": ("written", "fail"),
    "random_features_not_saved": ("rebuilt", "warn"),
    "padding_row_overwritten": ("units", "warn"),
    "tied_head_too_large": ("start_loss", "warn"),
    "constructor_reseeds": ("rebuilt", "fail"),
    "numpy_ignores_seed": ("rebuilt", "fail"),
    "prior_bias_everywhere": ("asleep", "fail"),
    "rectified_weights_at_zero": ("asleep", "fail"),
    "adapter_frozen": ("asleep", "warn"),
    "temperature_not_in_logs": ("start_loss", "warn"),
    "double_prior": ("dtype", "warn"),
    "positions_in_bfloat16": ("units", "warn"),
    "bilinear_between_all": ("signal", "fail"),
}
# What a sound module may mean as well, so it fails nothing.
NOTED = {
    "norm_scales_zeroed": "asleep",
    "teacher_not_copied": "asleep",
    "checkpoint_not_loaded": "asleep",
    "rounding_stops_gradient": "asleep",
}
REFUSED = {"mask_hides_itself": "the loss is nan"}
MISSED = {"fans_of_stacked_weight", "wrong_gate_open"}


def test_every_fault_is_in_one_list():
    assert sorted([*FOUND, *NOTED, *REFUSED, *MISSED]) == sorted(CASES)


@pytest.mark.parametrize("name", FOUND)
def test_a_fault_is_found(name):
    case, inspection = CASES[name], inspect_model(CASES[name].build, CASES[name].batch)
    judged = {
        (each.check, each.severity) for each in inspection.findings
        if set(each.parameters) & set(case.parameters)
    }  # fmt: skip
    assert FOUND[name] in judged, str(inspection)


@pytest.mark.parametrize("name", NOTED)
def test_a_start_that_may_be_meant_is_a_note(name):
    inspection = inspect_model(CASES[name].build, CASES[name].batch)
    assert NOTED[name] in {each.check for each in inspection.of_severity("note")}
    assert inspection.ok


@pytest.mark.parametrize("name", REFUSED)
def test_a_loss_that_is_no_number_is_refused(name):
    inspection = inspect_model(CASES[name].build, CASES[name].batch)
    assert not inspection.ok
    assert REFUSED[name] in str(inspection)


@pytest.mark.parametrize("name", sorted(MISSED))
def test_what_is_missed_is_said(name):
    """If one of these is found, it belongs above, and no longer in the list of the page."""
    inspection = inspect_model(CASES[name].build, CASES[name].batch)
    assert not inspection.findings, str(inspection)
    page = (ROOT / "docs" / "inspect.md").read_text(encoding="utf-8")
    assert re.search(rf"`{name}`", page.partition("## What it does not see")[2])


@pytest.mark.parametrize("name", CASES)
def test_the_same_module_without_the_fault_is_right(name):
    inspection = inspect_model(CASES[name].healthy, CASES[name].batch)
    assert not inspection.of_severity("fail", "warn"), str(inspection)
    assert inspection.ok


def test_frozen_zeros_are_found_without_a_batch():
    """The rest of the check needs one, and is named as not run."""
    inspection = inspect_model(CASES["adapter_frozen"].build)
    assert [each.check for each in inspection.of_severity("warn")] == ["asleep"]
    assert "asleep" in inspection.judged.checks
    assert "asleep" not in inspect_model(CASES["adapter_frozen"].healthy).judged.checks
