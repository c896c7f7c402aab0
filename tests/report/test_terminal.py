"""The terminal's report stays narrow, plain and true whatever the numbers are."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from initcheck.report import formatting, highlights, terminal
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
    ],
)
def test_limits_read_as_inequalities(limit, text):
    assert formatting.limit(probe(limit=limit)) == text


def test_a_rate_is_a_count_of_seeds():
    rate = probe(form="rate", treated=[1.0, 1.0, 0.0], limit={"min": 2})
    assert formatting.arm(rate, "treated") == "2 of 3"
    assert formatting.arm(replace(rate, treated=[0.2, 0.5]), "treated") == "0.2..0.5"


@pytest.mark.parametrize(
    ("comparison", "text"),
    [
        (probe(), "0.234 dec"),
        (probe(margin_unit="units"), "0.234"),
        (probe(margin=math.nan), "NaN"),
        (probe(form="rate", margin=2.0, margin_unit="units"), "2 seeds"),
        (gain("pass", p_value=0.0021, margin=-0.018, margin_unit="units"), "p 0.0021"),
        (gain("invalid", p_value=None), "-"),
    ],
)
def test_the_margin_is_the_number_that_decides(comparison, text):
    """The smallest difference of a gain is no distance to a limit: its p-value decides."""
    assert formatting.margin(comparison) == text


# --- the table ------------------------------------------------------------------------------------


def many(count=20, **more):
    """Passing claims with one comparison each, ever farther from their limits."""
    return [
        result(f"claim_{n}", probe(limit={"max": 1.2 + n}, margin_unit="units", **more))
        for n in range(count)
    ]


def test_the_table_has_a_line_per_claim_and_one_per_comparison():
    lines = table([passing()])
    assert lines[0].split() == [
        "claim", "treated", "limit", "control", "margin", "r", "verdict",
    ]  # fmt: skip
    assert lines[2] == "he_beats_randn[cpu]  1.2 s  pass"
    assert lines[3].split() == [
        "training_loss", "0.55..0.7", "<=", "1.2", "2.29..2.31", "0.234", "dec", "1.3/0.8", "pass",
    ]  # fmt: skip
    assert lines[4].startswith("  test_accuracy (celu)")


def test_parameters_of_a_claim_are_distinguished():
    names = ("relu", "tanh")
    lines = table([result("has_its_derivative", probe(), parameters=name) for name in names])
    for name in names:
        assert f"has_its_derivative[{name}-cpu]  1.2 s  pass" in lines


def test_of_many_claims_only_what_needs_a_look_is_shown():
    gains = [
        result(f"gain_{p}", gain("pass", p_value=p, margin=-5.0)) for p in (1e-5, 0.004, 0.001)
    ]
    rates = [
        result(f"rate_{n}", probe(form="rate", margin=n, margin_unit="units")) for n in (3, 1, 2)
    ]
    lines = table([*many(), refuted(), *gains, *rates])
    shown = [line.split("[")[0] for line in lines if "[" in line]
    assert shown == ["he_learns_on_cuda", "claim_0", "claim_1", "claim_2", "gain_0.004", "rate_1"]
    assert lines.index("not green:") < lines.index("closest to their limits:")
    assert len(table([*many(), *gains, *rates], verbose=True)) > 2 * len([*many(), *gains, *rates])
    assert "not green:" not in table(many())


def test_every_comparison_of_a_few_is_shown():
    lines = table(many(12))
    assert sum("training_loss" in line for line in lines) == 12
    assert "closest to their limits:" not in lines


def test_there_is_a_line_per_mechanism():
    rank, decay = (f"benchmarks/test_{name}.py::test_a" for name in ("residual_rank", "decay"))
    results = [
        result("a", probe(), probe(case="b"), node=rank, seconds=1.26),
        result("b", probe("drifted"), node=rank, seconds=2.0),
        result("c", probe(), node=decay, seconds=0.1),
    ]
    assert [line.split() for line in table(results, verbose=True)[-2:]] == [
        ["residual", "rank", "2", "claims", "3", "comparisons", "3.3", "s", "drifted"],
        ["decay", "1", "claim", "1", "comparison", "0.1", "s", "pass"],
    ]


def test_closeness_is_measured_in_ranges_of_an_arm_not_in_units():
    """A margin of 24 ranks may be closer than one of 0.2 nats."""
    ranks = probe(treated=[10.0, 60.0], control=[300.0, 310.0], limit={"max": 84.0}, unit="rank")
    nats = probe(treated=[0.5, 0.51], control=[0.9, 0.91], limit={"max": 0.7}, unit="nats")
    ranks, nats = (replace(one, margin_unit="units") for one in (ranks, nats))
    assert highlights.room(ranks) == 0.48
    assert highlights.room(nats) == pytest.approx(19.0)
    found = highlights.closest([result("nats", nats), result("ranks", ranks)])
    assert [one.claim for one, _ in found] == ["ranks", "nats"]


@pytest.mark.parametrize(
    "more",
    [
        {"treated": [0.0, 0.0], "control": [1.0, 1.0], "limit": {"max": 0.0}},  # equality
        {"treated": [math.nan, 1.0], "control": [math.nan, 2.0]},
        {"treated": [], "control": []},
        {"limit": {}},
        {"treated": [0.0, 1e-9], "control": [0.0, 1e-9]},  # no logarithm
    ],
)
def test_what_has_no_distance_to_a_limit_is_never_the_closest(more):
    assert highlights.room(probe(**more)) is None


@pytest.mark.parametrize(
    ("treated", "control", "text"),
    [
        ({"r": 0.0}, {"r": 1.56}, "0/1.6"),
        ({"r": 0.01}, {"r": None}, "~0/-"),
        ({"r": 10.0}, {"r": 10.1}, "10/>10"),
        ({"r": math.nan}, {"r": None}, ">10/-"),
    ],
)
def test_ratios_of_both_arms_are_distinguished(treated, control, text):
    drifts = {"treated": drift(**treated), "control": drift(**control)}
    assert formatting.ratios(probe(drift=drifts)) == text
    assert formatting.ratios(probe(drift={})) == "-/-"


@pytest.mark.parametrize("columns", [80, 100, 160])
@pytest.mark.parametrize("name", ["x", "a_claim_" + "of_many_words_" * 4, "endless" * 30, "größe"])
def test_the_table_fits_whatever_it_holds(name, columns):
    wild = probe(
        "refuted", treated=EXTREME, control=EXTREME[:2], margin=-1.2345e-300,
        limit={"min": -1.2345e-300, "max": 1.2345e300}, case="a case of many words" * 9,
    )  # fmt: skip
    run = example(
        result(name, wild, wild, device="privateuseone:12", seconds=123456.7),
        result(name, gain("inconclusive", limit={"margin": -1.2345e-300})),
        result(name),
    )
    run = replace(run, settings=replace(run.settings, contract=CONTRACT))
    for verbose in (False, True):
        lines = [
            *table(run.results, verbose=verbose, columns=columns),
            *closing(run, verbose=verbose, columns=columns),
        ]
        assert max(map(len, lines)) <= columns
        assert all(line.isascii() for line in lines)
        assert not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_columns_are_aligned_at_any_width(columns):
    lines = table([passing(), refuted()], columns=columns)
    head = lines[0]
    for line in lines:
        if "1.3/0.8" in line:
            assert line.index("1.3/0.8") + len("1.3/0.8") == head.index(" r ") + 2
            assert line[head.index("limit") :].startswith("<= 1.2")


def test_the_width_is_that_of_the_terminal_within_reason(monkeypatch):
    for variable, columns in (("40", 80), ("100", 100), ("123", 123), ("500", 160)):
        monkeypatch.setenv("COLUMNS", variable)
        assert terminal.width() == columns
    monkeypatch.setenv("COLUMNS", "0")
    monkeypatch.setattr("os.get_terminal_size", lambda *_: (_ for _ in ()).throw(OSError))
    assert terminal.width() == 100


def test_values_that_are_not_finite_are_seen():
    lines = table([result("a", probe("invalid", treated=EXTREME))])
    assert "NaN, inf" in "".join(lines)


def test_an_empty_run_says_so():
    assert table([]) == ["initcheck: no claim ran"]
    assert closing(replace(example(), results=[])) == ["verdicts: no claim ran"]


def test_the_header_names_hardware_precision_and_contract():
    text = "\n".join(header(ENVIRONMENT, SETTINGS, CONTRACT))
    for fact in ["torch 2.14.1", "torchvision 0.29.1", "cuda (NVIDIA H200)", "2 threads"]:
        assert fact in text
    for fact in ["highest", "baselines baselines", "engine ensemble", CONTRACT]:
        assert fact in text
    for absent in ("recording", "salt", "FAULT", "only a part"):
        assert absent not in text


def test_the_header_names_what_changes_the_run():
    settings = replace(SETTINGS, salt="otter", judge="outcomes", fault="he_gain_one")
    lines = header(ENVIRONMENT, settings, columns=160)
    assert lines[0].startswith("initcheck 0.1.0: torch 2.14.1")
    assert "seeds as each claim needs, salt otter, baselines" in lines[3]
    assert lines[4] == "FAULT he_gain_one is seeded: this run must fail"
    assert lines[5].startswith("only a part is judged (--initcheck-judge outcomes)")


def test_the_header_folds_long_lines_and_says_that_it_records():
    devices = [{"name": f"cuda:{n}", "type": "cuda", "hardware": "NVIDIA H200"} for n in range(8)]
    lines = header(replace(ENVIRONMENT, devices=devices), replace(SETTINGS, record="new GPU"), None)
    assert max(map(len, lines)) <= 100
    assert "recording (new GPU): this run does not pass, whatever it finds" in lines


def test_a_path_in_the_header_is_folded_at_no_hyphen():
    folder = "/home/a-user-name/a-rather-long-folder-name/of-many-words/baselines"
    lines = header(ENVIRONMENT, replace(SETTINGS, baselines=folder), columns=80)
    assert any(line.endswith(folder) for line in lines)


def test_the_closing_names_the_closest_comparison_of_each_form_and_the_largest_ratio():
    run = example(*example().results, result("gain", gain("pass", p_value=0.004, margin=-0.018)))
    lines = " ".join(" ".join(closing(run, verbose=True)).split())
    assert "close to its limit: 0.234 dec, " in lines
    assert "x the range over seeds, he_beats_randn[cpu] training_loss" in lines
    assert "closest gain: p = 0.004 of 0.005 allowed, gain[cpu] test_accuracy" in lines
    assert "-0.018" not in lines
    assert "close" not in " ".join(closing(run))  # the table shows them
    ratio = "largest envelope ratio: r = 531 of 10 allowed, zeroed_layer_still_learns[cpu]"
    assert ratio in lines
    assert "verdicts: 2 pass, 1 inconclusive, 1 drifted, 2 refuted, 1 invalid" in lines


def test_a_ratio_that_is_not_a_number_counts_as_the_largest():
    broken = probe(drift={"treated": drift(r=math.nan)})
    lines = closing(example(refuted(), result("broken", broken)))
    assert "largest envelope ratio: r = inf of 10 allowed, broken[cpu]" in "\n".join(lines)


def test_the_largest_ratio_says_how_many_arms_are_judged():
    still = probe(drift={"treated": drift(r=0.0), "control": drift("changed start", r=None)})
    text = "\n".join(closing(example(result("a", still))))
    assert "r = 0 in all that are judged; 1 of 2 arms are judged" in text
    assert "a[cpu]" not in text
    moved = "\n".join(closing(example(passing()), columns=160))
    assert "he_beats_randn[cpu] training_loss, treated; 4 of 4 arms are judged" in moved


def test_advice_needs_eight_arms_and_says_that_it_gates_nothing():
    assert "advisory" not in "\n".join(closing(example(passing())))
    text = " ".join(" ".join(closing(example())).split())
    assert "advisory, gates nothing: 14 arms" in text
    assert "the kstest whether the p-values are uniform gives p =" in text


def test_a_small_shift_everywhere_is_noticed():
    def run(shift):
        arms = {arm: drift(mean=0.61 + shift * 0.09) for arm in ("treated", "control")}
        return example(*(result(f"claim_{n}", probe(drift=arms)) for n in range(8)))

    smallest = {}
    for shift in (0.01, 2.0):
        text = " ".join(" ".join(closing(run(shift))).split())
        smallest[shift] = float(text.split("q = ")[1].split()[0])
    assert smallest[2.0] < 0.01 < smallest[0.01]


def test_arms_that_are_judged_by_losses_alone_are_counted():
    old = probe(drift={"treated": drift(r=0.0, note="no sketches"), "control": drift(r=0.0)})
    text = " ".join(" ".join(closing(example(result("a", old)))).split())
    assert "2 of 2 arms are judged, 1 by losses alone, since their evidence has no" in text
    new = probe(drift={"treated": drift(r=0.0), "control": drift(r=None, note="it is chaotic")})
    assert "losses alone" not in "\n".join(closing(example(result("a", new))))
