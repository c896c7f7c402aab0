"""The verdict: two stages, evidence, envelope and distribution, on scripted values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from initcheck import SGD, Arm, Recipe, drift, gate, mlp, seeds
from initcheck.baselines import Baselines, LimitEntry
from initcheck.envelope import Departure
from initcheck.image_arrays import DataError
from initcheck.initializers import he, zeros
from initcheck.pairs import Pair
from initcheck.training import NetworkError
from initcheck.verdict import Setting, Verdict

RECIPE = Recipe(SGD(lr=0.1), batch=32, steps=5)
TREATED, CONTROL = (Arm(mlp(784, 8, 10), start, RECIPE) for start in (he, zeros))
NAN = math.nan
FINGERPRINT = "the data"


def size(trained):
    """A probe that is never called: the laboratory is scripted."""
    raise AssertionError


def good(arm, stage):
    return 0.9 if arm == TREATED else 0.1


@dataclass
class Laboratory:
    """Gives what a script says for an arm and a stage; a list is one value a seed."""

    script: object
    root: object = None
    download: bool = False
    asked: list = field(default_factory=list)
    mark: str = FINGERPRINT

    def values(self, probe, arm, drawn, device):
        stage = 1 if drawn[0] == seeds.stage(1, 1, self.salt)[0] else 2
        self.asked.append((arm, stage))
        said = self.script(arm, stage)
        return list(said) if np.ndim(said) else [said] * len(drawn)

    salt = ""

    def trained(self, arm, drawn, device):
        assert tuple(drawn) == seeds.reference()[: len(drawn)]
        return arm

    def data(self, name):
        return SimpleNamespace(fingerprint=self.mark)


LIMIT = LimitEntry("a_claim", "size", "units", "measured", "because", "a fault", low=0.5)
GAIN = replace(LIMIT, low=-math.inf, margin=0.5)


def claim(script=good, limit=LIMIT, entry=None, **setting):
    """A verdict on scripted values."""
    baselines = Baselines(folder=SimpleNamespace(__truediv__=None))
    baselines.__dict__["limits"] = {"a_claim": {"size": limit} if limit else {}}
    baselines.__dict__["registered"] = 11
    baselines.folder = __import__("pathlib").Path("baselines")
    evidence = {"schema": 1, "claim": "a_claim", "environments": [entry]} if entry else None
    baselines._evidence["a_claim"] = evidence
    laboratory = Laboratory(script)
    laboratory.salt = setting.get("salt", "")
    return Verdict(
        "a_claim", "a_claim", "cpu", "measured", laboratory, baselines, Setting(**setting)
    )


def judged(script=good, *, form="holds", **more):
    """The entry of one comparison, after it was judged."""
    verdict = claim(script, **more)
    arms = ("better", "worse") if form == "gains" else ("treated", "control")
    getattr(verdict, form)(size, **dict(zip(arms, (TREATED, CONTROL), strict=True)))
    (entry,) = verdict.probes
    assert verdict.summary() == entry["verdict"]
    return entry | {"asked": verdict.laboratory.asked}


def at(first, fresh, control=0.1):
    """Treated values by stage."""
    return lambda arm, stage: control if arm == CONTROL else {1: first, 2: fresh}[stage]


# --- two stages ---------------------------------------------------------------------------------


def test_green_needs_one_stage():
    entry = judged()
    assert entry["verdict"] == "pass"
    assert entry["stage"] == 1
    assert {stage for _, stage in entry["asked"]} == {1}
    assert entry["seeds"] == list(seeds.stage(seeds.FIRST, gate.SEEDS["measured"]))


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
    assert f"1 {side} values are not finite, on seeds {seed}" in entry["reason"]


def test_nan_on_fresh_seeds_is_invalid():
    assert judged(at(0.4, [0.9] * 15 + [NAN]))["verdict"] == "invalid"


def test_count_and_salt_choose_the_seeds():
    assert judged(count=3)["seeds"] == list(seeds.stage(1, 3))
    assert judged(salt="x")["seeds"] == list(seeds.stage(1, 16, "x"))
    assert not set(judged(salt="x")["seeds"]) & set(judged()["seeds"])


# --- forms --------------------------------------------------------------------------------------


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
    assert (entry["p_value"] <= gate.GAIN_P) == (verdict == "pass")


def test_few_seeds_cannot_show_a_gain_and_it_says_so():
    entry = judged(at(0.9, 0.9), form="gains", limit=GAIN, count=7)
    assert entry["verdict"] == "inconclusive"
    assert "fewer than 8 seeds cannot show one" in entry["reason"]


RATE = replace(LIMIT, low=0.8)


@pytest.mark.parametrize(
    ("treated", "control", "verdict"),
    [(16, 0, "pass"), (10, 9, "pass"), (9, 0, "refuted"), (16, 10, "invalid")],
)
def test_rate_by_the_limit_alone(treated, control, verdict):
    """Of seeds of which 80 % succeed, 16 give fewer than 10 in less than 3 % of stages."""
    counts = {TREATED: treated, CONTROL: control}
    script = lambda arm, stage: [1.0] * counts[arm] + [0.0] * (16 - counts[arm])  # noqa: E731
    assert judged(script, form="rate", limit=RATE)["verdict"] == verdict


def test_rate_is_sharpened_by_what_was_recorded():
    script = at([1.0] * 12 + [0.0] * 4, [1.0] * 12 + [0.0] * 4, control=0.0)
    recorded = evidence([1.0] * 64, [0.0] * 64, form="rate")
    assert judged(script, form="rate", limit=RATE)["verdict"] == "pass"
    entry = judged(script, form="rate", limit=RATE, entry=recorded)
    assert entry["verdict"] == "refuted"
    assert "12 of 16 treated seeds succeed, and 13 must" in entry["reason"]


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
    assert [entry["verdict"] for entry in verdict.probes] == ["pass", "invalid"]
    assert "give each its own case=" in verdict.probes[1]["reason"]


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
    if raised:
        with pytest.raises(DataError):
            verdict.holds(size, treated=arms[0], control=arms[1])
    else:
        verdict.holds(size, treated=arms[0], control=arms[1])
        assert verdict.probes[0]["reason"] == "it is not there"
        assert verdict.summary() == "invalid"


# --- evidence -----------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
BEFORE = list(RNG.normal(0.9, 0.01, 64))


def evidence(treated=BEFORE, control=(0.1,) * 64, form="holds", **more):
    """One environment's entry; the envelope is judged by a stand-in."""
    pair = Pair(size, TREATED, CONTROL, form=form)
    comparison = {
        "hash": pair.fingerprint(), "treated": list(treated), "control": list(control),
        "transform": "none" if form == "rate" else "identity",
    }  # fmt: skip
    return {
        "environment": {"device type": "cpu", "device": "a CPU", "torch": "2.0"},
        "date": "2026-01-01", "data": {"mnist5k": FINGERPRINT},
        "comparisons": {"size": comparison | more},
        "arms": {str(arm): {"reference": arm} for arm in (TREATED, CONTROL)},
    }  # fmt: skip


@pytest.fixture(autouse=True)
def follows(monkeypatch):
    """What the envelope says of each arm: unchanged, unless a test says otherwise."""
    said = {TREATED: Departure(1.0), CONTROL: Departure(1.0)}
    monkeypatch.setattr(drift.envelope, "compare", lambda arm, trained, reference: said[arm])
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
        "verdict": "unchanged", "r": 1.0, "first_step": None, "first_layer": None, "note": "",
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
    outcome = "outcomes unmoved" if arm == TREATED else "outcomes not compared"
    words = f"{arm.label} left its rounding envelope at step 4 (r = 40, first layer: hidden1)"
    assert entry["reason"] == f"{words}; {outcome}"


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
    wide = evidence(list(RNG.normal(0.55, 0.01, 64)))
    assert judged(at(0.49, 0.9), entry=wide)["verdict"] == "drifted"  # moved both times
    near = evidence(list(RNG.normal(0.49, 0.01, 64)))
    entry = judged(at(0.49, 0.9), entry=near)
    assert entry["verdict"] == "pass"


def test_refuted_wins_over_drifted():
    assert judged(at(0.4, 0.4), entry=evidence())["verdict"] == "refuted"


def test_shift_below_a_tenth_of_the_distance_does_not_matter():
    tight = evidence(list(RNG.normal(0.9, 1e-4, 64)))
    assert judged(at(0.83, 0.83), entry=tight)["verdict"] == "pass"
    assert judged(at(0.81, 0.81), entry=tight)["verdict"] == "drifted"


def test_other_start_is_said_and_left_to_the_distribution(follows):
    follows[TREATED] = OTHER_START
    entry = judged(entry=evidence())
    assert entry["verdict"] == "pass"
    assert entry["drift"]["treated"]["verdict"] == "other start"
    assert "he starts elsewhere, first in output.weight; outcomes unmoved" in entry["reason"]
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
    words = "he starts elsewhere, first in output.weight; recorded with this very torch"
    assert entry["reason"] == f"{words}; outcomes unmoved"
    assert judged(entry=recorded_with(release + "1"))["verdict"] == "pass"


def test_other_images_first_are_named(follows):
    follows[TREATED] = Departure(None, start=False, why_not="the data order has changed")
    assert "he sees other images first; outcomes" in judged(entry=evidence())["reason"]
    assert judged(entry=recorded_with(torch.__version__))["verdict"] == "drifted"


def test_seeds_that_are_alike_are_drifted_whatever_the_torch(follows):
    follows[CONTROL] = replace(OTHER_START, alike=True)
    entry = judged(entry=evidence())
    assert entry["verdict"] == "drifted"
    assert entry["drift"]["control"]["verdict"] == "alike"
    assert "all seeds of zeros are alike, and they were not when" in entry["reason"]


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
    assert judged(entry=entry, require_evidence=True)["verdict"] == "invalid"
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
