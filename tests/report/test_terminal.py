"""The terminal's report stays narrow, plain and true whatever the numbers are."""

from __future__ import annotations

import math

import pytest

from initcheck.report import formatting
from initcheck.report.terminal import closing, header, table
from tests.helpers.results import (
    CONTRACT,
    ENVIRONMENT,
    SETTINGS,
    drift,
    example,
    gain,
    passing,
    probe,
    refuted,
    result,
)

EXTREME = [-1.2345e-300, 1.2345e300, math.nan, math.inf]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (784.0, "784"),
        (-3.0, "-3"),
        (12345.0, "12345"),
        (12345.6, "12300"),
        (0.61234, "0.612"),
        (1e-6, "1e-6"),
        (1.234e-12, "1.23e-12"),
        (1e30, "1e30"),
        (math.nan, "NaN"),
        (-math.inf, "-inf"),
        (None, "-"),
    ],
)
def test_numbers_have_three_digits_and_integers_are_whole(value, text):
    assert formatting.number(value) == text


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([0.61, 0.58, 0.7], "0.58..0.7"),
        ([10.0, 10.0], "10"),
        ([0.5, math.nan, 0.6, math.nan], "0.5..0.6, NaN"),
        ([math.nan], "NaN"),
        ([], "-"),
    ],
)
def test_ranges_name_what_is_not_finite(values, text):
    assert formatting.span(values) == text


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        ({"min": None, "max": 1.2}, "<= 1.2"),
        ({"min": 3}, ">= 3"),
        ({"min": 0.1, "max": 0.2}, "0.1..0.2"),
        ({"min": 0, "max": 0}, "= 0"),
        ({"margin": 0.02}, "gain > 0.02"),
        ({"margin": 0.0}, "gain > 0"),
        ({}, "none"),
        (None, "none"),
    ],
)
def test_limits_read_as_inequalities(limit, text):
    assert formatting.limit({"limit": limit}) == text


def test_a_rate_is_a_count_of_seeds():
    rate = probe(form="rate", treated=[1.0, 1.0, 0.0], limit={"min": 2})
    assert formatting.arm(rate, "treated") == "2 of 3"
    assert formatting.arm(rate | {"treated": [0.2, 0.5]}, "treated") == "0.2..0.5"


def test_what_is_not_finite_lies_inside_no_limit():
    assert not formatting.inside(math.inf, {"min": 1.0})
    assert not formatting.inside(math.nan, {"min": 1.0, "max": 2.0})
    assert formatting.inside(2.0, {"min": 1.0, "max": 2.0})


def test_the_table_has_one_line_a_probe():
    lines = table(example(passing()))
    assert lines[0].split() == [
        "claim",
        "device",
        "treated",
        "limit",
        "control",
        "margin",
        "r",
        "seconds",
        "verdict",
    ]
    assert "he_beats_randn" in lines[2]
    assert lines[2].split()[1:] == [
        "cpu",
        "0.55..0.7",
        "<=",
        "1.2",
        "2.29..2.31",
        "0.234",
        "dec",
        "1.3/0.8",
        "1.2",
        "pass",
    ]
    assert "he_beats_randn" not in "".join(lines[3:])
    assert "test_accuracy (celu)" in "".join(lines[3:])


@pytest.mark.parametrize(
    ("treated", "control", "text"),
    [
        ({"r": 0.0}, {"r": 1.56}, "0/1.6"),
        ({"r": 0.01}, {"r": None}, "~0/-"),
        ({"r": 10.0}, {"r": 10.1}, "10/>10"),
        ({"r": math.nan}, {}, ">10/-"),
    ],
)
def test_ratios_of_both_arms_are_told_apart(treated, control, text):
    assert formatting.ratios({"drift": {"treated": treated, "control": control}}) == text


@pytest.mark.parametrize("name", ["x", "a_claim_" + "of_many_words_" * 4, "endless" * 30, "größe"])
def test_the_table_fits_whatever_it_holds(name):
    wild = probe("refuted", treated=EXTREME, control=EXTREME[:2], margin=-1.2345e-300)
    wild |= {"limit": {"min": -1.2345e-300, "max": 1.2345e300}, "case": "a case of many words" * 9}
    results = example(
        result(name, wild, wild, device="privateuseone:12", seconds=123456.7),
        result(name, gain("inconclusive", limit={"margin": -1.2345e-300})),
        result(name),
    )
    lines = [*table(results), *closing(results, CONTRACT)]
    assert max(map(len, lines)) <= 100
    assert all(line.isascii() for line in lines)
    assert not any(line.endswith(" ") for line in lines)


def test_values_that_are_not_finite_are_seen_even_where_there_is_no_room():
    lines = table(example(result("a", probe("invalid", treated=EXTREME))))
    assert "NaN, inf" in lines[2]


def test_an_empty_run_says_so():
    results = example()
    results["results"] = []
    assert table(results) == ["initcheck: no claim ran"]
    assert closing(results) == ["verdicts: no claim ran"]


def test_the_header_names_hardware_precision_and_contract():
    text = "\n".join(header(ENVIRONMENT, SETTINGS, CONTRACT))
    for fact in ["torch 2.14.1", "torchvision 0.29.1", "cuda (NVIDIA H200)", "2 threads"]:
        assert fact in text
    for fact in ["highest", "baselines baselines", "engine ensemble", CONTRACT]:
        assert fact in text
    assert "recording" not in text


def test_the_header_folds_long_lines_and_says_that_it_records():
    devices = [{"name": f"cuda:{n}", "type": "cuda", "hardware": "NVIDIA H200"} for n in range(8)]
    lines = header(ENVIRONMENT | {"devices": devices}, SETTINGS | {"record": "new GPU"}, None)
    assert max(map(len, lines)) <= 100
    assert "recording (new GPU): this run fails once, whatever it finds" in lines


def test_the_closing_names_the_smallest_margin_and_the_largest_ratio():
    broken = result("broken", probe("invalid", margin=-math.inf))
    assert "smallest margin" not in "".join(closing(example(broken)))
    lines = closing(example())
    assert "smallest margin: -0.28 decades, he_learns_on_cuda[cuda] training_loss" in lines
    ratio = "largest envelope ratio: r = 531 of 10 allowed, zeroed_layer_still_learns[cpu]"
    assert any(line.startswith(ratio) for line in lines)
    assert "verdicts: 1 pass, 1 inconclusive, 1 drifted, 2 refuted, 1 invalid" in lines


def test_a_ratio_that_is_not_a_number_counts_as_the_largest():
    broken = probe(drift={"treated": drift(r=math.nan)})
    lines = closing(example(refuted(), result("broken", broken)))
    assert "largest envelope ratio: r = inf of 10 allowed, broken[cpu]" in "\n".join(lines)


def test_advice_needs_eight_arms_and_says_that_it_gates_nothing():
    assert "advisory" not in "\n".join(closing(example(passing())))
    text = " ".join(" ".join(closing(example())).split())
    assert "advisory, gates nothing: 14 arms" in text
    assert "uniformity of the p-values by kstest p =" in text


def test_a_small_shift_everywhere_is_noticed():
    def run(shift):
        arms = {arm: drift(mean=0.61 + shift * 0.09) for arm in ("treated", "control")}
        return example(*(result(f"claim_{n}", probe(drift=arms)) for n in range(8)))

    smallest = {}
    for shift in (0.01, 2.0):
        text = " ".join(" ".join(closing(run(shift))).split())
        smallest[shift] = float(text.split("q = ")[1].split()[0])
    assert smallest[2.0] < 0.01 < smallest[0.01]
