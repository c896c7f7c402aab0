"""Limits as a file: reading and checking."""

from __future__ import annotations

import math

import pytest

from initcheck.baselines.evidence import (
    BaselineError,
)
from initcheck.baselines.limits import read_limits
from tests.helpers.baselines import (
    GOOD,
    written,
)


def test_a_limit_is_read_as_written(tmp_path):
    limit = read_limits(written(tmp_path, GOOD | {"min": 0, "margin": 2}))["a_claim"]["a_probe"]
    assert (limit.low, limit.high, limit.margin) == (0.0, 1.0, 2.0)
    assert (limit.unit, limit.kind, limit.why, limit.fault) == tuple(GOOD.values())[1:]
    assert (limit.interval.low, limit.interval.high) == (0.0, 1.0)
    assert limit.shown("gains") == {"margin": 2.0}
    assert limit.shown("holds") == {"min": 0.0, "max": 1.0}


def test_an_open_end_is_shown_as_none(tmp_path):
    limit = read_limits(written(tmp_path))["a_claim"]["a_probe"]
    assert limit.low == -math.inf
    assert limit.shown("holds") == {"min": None, "max": 1.0}


@pytest.mark.parametrize(
    ("given", "forms"),
    [
        ({"max": 1.0}, {"holds"}),
        ({"min": 0.5}, {"holds", "rate"}),
        ({"min": 1.0}, {"holds"}),
        ({"min": 0.2, "max": 0.5}, {"holds"}),
        ({"margin": 0.0}, {"gains"}),
    ],
)
def test_a_limit_serves_some_forms_of_comparison(tmp_path, given, forms):
    words = {key: value for key, value in GOOD.items() if key != "max"}
    limit = read_limits(written(tmp_path, words | given))["a_claim"]["a_probe"]
    assert {form for form in ("holds", "gains", "rate") if limit.serves(form)} == forms


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"maximum": 1}, "has an unknown key 'maximum'. Write one of max, min, margin, unit"),
        ({"why": " "}, "lacks 'why', a text in quotes. Add it."),
        ({"unit": 3}, "lacks 'unit'"),
        ({"kind": "certain"}, "has kind 'certain'. Write one of measured, theorem, exact"),
        ({"max": "1"}, "has max = '1'. Write a number"),
        ({"max": True}, "has max = True. Write a number"),
        ({"min": 2}, "has min 2 above max 1.0"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place(tmp_path, change, sentence):
    path = written(tmp_path, GOOD | change)
    with pytest.raises(BaselineError) as error:
        read_limits(path)
    assert f"{path}: [a_claim.a_probe]" in str(error.value)
    assert sentence in str(error.value)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_limit_that_is_not_finite_is_refused(tmp_path, value):
    path = written(tmp_path)
    path.write_text(path.read_text().replace("1.0", value))
    with pytest.raises(BaselineError, match=rf"max = {value}\. Write a finite number"):
        read_limits(path)


@pytest.mark.parametrize("value", ["1" + "0" * 400, "-1" + "0" * 400, "0x" + "f" * 5000])
def test_limit_that_no_float_can_hold_is_refused(tmp_path, value):
    path = written(tmp_path)
    path.write_text(path.read_text().replace("1.0", value))
    with pytest.raises(BaselineError, match="max = a number that no float can hold"):
        read_limits(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"[a.b]\nmax = {'9' * 5000}", "it has a number that is too long, or is nested too deeply"),
        (f"a = {'[' * 100_000}", "it has a number that is too long, or is nested too deeply"),
        ("[a.b]\nmax = 1\nmax = 2", "Cannot overwrite a value"),
    ],
)
def test_limits_that_toml_or_python_cannot_hold_are_refused(tmp_path, text, sentence):
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(BaselineError, match=sentence):
        read_limits(path)


def test_an_entry_without_a_number_is_refused(tmp_path):
    words = {key: value for key, value in GOOD.items() if key != "max"}
    with pytest.raises(BaselineError, match="Add 'max' or 'min' for holds, or 'margin'"):
        read_limits(written(tmp_path, words))


def test_table_without_a_probe_is_refused(tmp_path):
    with pytest.raises(BaselineError, match=r"\[a_claim\] must hold one table \[a_claim\.PROBE\]"):
        read_limits(written(tmp_path, head="a_claim"))


def test_broken_toml_is_refused_with_its_line(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text("[a.b]\nmax = \n")
    with pytest.raises(BaselineError, match=r"at line 2, column 7.*Correct that place"):
        read_limits(path)


def test_a_missing_file_is_refused_with_its_place(tmp_path):
    with pytest.raises(
        BaselineError, match=r"There is no .*limits\.toml, which must hold the limits"
    ):
        read_limits(tmp_path / "limits.toml")
