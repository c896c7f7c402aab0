"""The verdict: two stages and three forms, on scripted values."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from initcheck.datasets.arrays import DataError
from initcheck.gate import seeds
from initcheck.networks import NetworkError
from initcheck.stats import decisions
from tests.helpers.verdict import (
    CONTROL,
    GAIN,
    LIMIT,
    NAN,
    RATE,
    TREATED,
    at,
    claim,
    good,
    judged,
    size,
)

# --- two stages -----------------------------------------------------------------------------------


def test_green_needs_one_stage():
    entry = judged()
    assert entry["verdict"] == "pass"
    assert entry["stage"] == 1
    assert {stage for _, stage in entry["asked"]} == {1}
    assert entry["seeds"] == list(seeds.stage(seeds.FIRST, decisions.SEEDS["measured"]))


def test_red_takes_two_stages_and_lists_the_fresh_seeds():
    entry = judged(at(0.4, 0.4))
    assert entry["verdict"] == "refuted"
    assert entry["stage"] == 2
    assert entry["seeds"] == list(seeds.stage(seeds.FRESH, 16))
    assert "16 of 16 treated seeds are outside the limit" in entry["reason"]


def test_unconfirmed_red_is_green():
    entry = judged(at(0.4, 0.9))
    assert (entry["verdict"], entry["stage"]) == ("pass", 2)
    assert entry["treated"] == [0.9] * 16


def test_second_stage_alone_is_never_judged():
    assert judged(at(0.9, 0.4))["verdict"] == "pass"


@pytest.mark.parametrize(("stages", "verdict"), [((1, 2), "invalid"), ((1,), "pass")])
def test_control_on_the_treated_side_is_confirmed_too(stages, verdict):
    entry = judged(lambda arm, stage: 0.9 if arm == TREATED or stage in stages else 0.1)
    assert entry["verdict"] == verdict
    if verdict == "invalid":
        assert "16 of 16 control seeds are on the treated side" in entry["reason"]


@pytest.mark.parametrize("bad", [NAN, math.inf])
@pytest.mark.parametrize("arm", [TREATED, CONTROL])
def test_value_that_is_not_finite_is_invalid_at_once_and_names_its_seeds(bad, arm):
    values = [0.9 if arm == TREATED else 0.1] * 15 + [bad]
    entry = judged(lambda a, stage: values if a == arm else good(a, stage))
    assert (entry["verdict"], entry["stage"]) == ("invalid", 1)
    side = "treated" if arm == TREATED else "control"
    seed = seeds.stage(seeds.FIRST, 16)[-1]
    assert f"1 of 16 {side} seeds (seed {seed}) are not finite" in entry["reason"]


def test_nan_on_fresh_seeds_is_invalid():
    assert judged(at(0.4, [0.9] * 15 + [NAN]))["verdict"] == "invalid"


def test_count_and_salt_choose_the_seeds():
    assert judged(count=3)["seeds"] == list(seeds.stage(1, 3))
    assert judged(salt="x")["seeds"] == list(seeds.stage(1, 16, "x"))
    assert not set(judged(salt="x")["seeds"]) & set(judged()["seeds"])


# --- forms ----------------------------------------------------------------------------------------


SPREAD = list(np.linspace(0.0, 0.01, 16))


@pytest.mark.parametrize(
    ("first", "fresh", "verdict"),
    [(0.6, 0.6, "pass"), (0.5, 0.6, "pass"), (0.2, 0.3, "refuted"), (0.595, 0.595, "inconclusive"),
     (0.2, 0.595, "inconclusive"), (0.595, 0.2, "inconclusive")],
)  # fmt: skip
def test_gains(first, fresh, verdict):
    """A gain of 0.5 over 0.1, each seed a little different."""
    script = at(*([v + x for x in SPREAD] for v in (first, fresh)), control=0.1)
    entry = judged(script, form="gains", limit=GAIN)
    assert entry["verdict"] == verdict
    assert entry["limit"] == {"margin": 0.5}
    assert (entry["p_value"] <= decisions.GAIN_P) == (verdict == "pass")


def test_a_claim_states_its_number_of_seeds_and_the_option_overrides_it():
    stated = claim()
    stated.fixed_count = 4
    assert stated.stage_seeds(seeds.FIRST) == seeds.stage(seeds.FIRST, 4)
    stated.setting = replace(stated.setting, count=3)
    assert stated.stage_seeds(seeds.FIRST) == seeds.stage(seeds.FIRST, 3)


def test_few_seeds_cannot_show_a_gain_and_it_says_so():
    entry = judged(at(0.9, 0.9), form="gains", limit=GAIN, count=7)
    assert entry["verdict"] == "inconclusive"
    assert "fewer than 8 seeds cannot show one" in entry["reason"]


@pytest.mark.parametrize(
    ("treated", "control", "verdict"),
    [(16, 0, "pass"), (10, 9, "pass"), (9, 0, "refuted"), (16, 10, "invalid")],
)
def test_rate_by_the_limit_alone(treated, control, verdict):
    """Of seeds of which 80 % succeed, 16 give fewer than 10 in less than 3 % of stages."""
    counts = {TREATED: treated, CONTROL: control}

    def script(arm, stage):
        return [1.0] * counts[arm] + [0.0] * (16 - counts[arm])

    assert judged(script, form="rate", limit=RATE)["verdict"] == verdict


def test_rate_of_other_than_ones_and_zeros_is_invalid():
    assert "gives 1 for a success" in judged(form="rate", limit=RATE)["reason"]


@pytest.mark.parametrize(
    ("form", "limit", "said"),
    [
        ("holds", None, "there is no limit [a_claim.size] in baselines/limits.toml"),
        ("holds", GAIN, "holds needs 'min' or 'max' at [a_claim.size]"),
        ("gains", LIMIT, "gains needs 'margin' at"),
        ("rate", GAIN, "rate needs 'min', a share between 0 and 1, at"),
        ("rate", replace(LIMIT, low=1.5), "rate needs 'min', a share between 0 and 1, at"),
    ],
)
def test_unusable_limit_trains_nothing(form, limit, said):
    entry = judged(form=form, limit=limit)
    assert entry["verdict"] == "invalid"
    assert said in entry["reason"]
    assert entry["asked"] == []


def test_same_comparison_twice_is_invalid():
    verdict = claim()
    for _ in range(2):
        verdict.holds(size, treated=TREATED, control=CONTROL)
    verdict.judge()
    assert [probe.verdict for probe in verdict.probes] == ["pass", "invalid"]
    assert "give each its own case=" in verdict.probes[1].reason


def test_claim_that_judged_nothing_is_invalid():
    assert claim().summary() == "invalid"


def test_network_error_is_a_sentence():
    def script(arm, stage):
        raise NetworkError("the network returned shape (3,)")

    assert judged(script)["reason"] == "the network returned shape (3,)"


@pytest.mark.parametrize(("data", "root", "raised"), [
    ("mnist", None, True), ("mnist", "/data", False), ("mnist5k", None, False),
    ("folder:x", None, False),
])  # fmt: skip
def test_missing_data_are_an_error_only_where_demanded(data, root, raised):
    def script(arm, stage):
        raise DataError("it is not there")

    verdict = claim(script)
    verdict.laboratory.root = root
    arms = [replace(arm, data=data) for arm in (TREATED, CONTROL)]
    verdict.holds(size, treated=arms[0], control=arms[1])
    if raised:
        with pytest.raises(DataError):
            verdict.judge()
    else:
        verdict.judge()
        assert verdict.probes[0].reason == "it is not there"
        assert verdict.summary() == "invalid"
