"""What recording writes for a claim: values, curves, envelopes, where and why."""

from __future__ import annotations

import math
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from initcheck import SGD, Arm, Recipe, mlp
from initcheck.baselines.evidence import BaselineError, check_evidence, read_evidence
from initcheck.baselines.folder import Baselines
from initcheck.gate import record, seeds
from initcheck.gate.trainer import Laboratory
from initcheck.gate.verdict import Verdict
from initcheck.initializers import he, zeros
from initcheck.probes import logit_spread
from initcheck.stats import decisions
from tests.helpers.projects import HE_APART

RECIPE = Recipe(SGD(lr=0.1), batch=32, steps=5)
HE, ZEROS = (Arm(mlp(784, 8, 10), start, RECIPE) for start in (he, zeros))


@pytest.fixture
def verdict(tmp_path, laboratory):
    """A measured claim with its limit, not yet judged."""
    (tmp_path / "limits.toml").write_text(HE_APART)
    name = "he_tells_images_apart"
    return Verdict(name, name, "cpu", "measured", laboratory, Baselines(tmp_path))


@pytest.fixture(scope="module")
def laboratory():
    """One for all tests here, so that each arm is trained once."""
    return Laboratory()


def test_entry_has_all_that_judging_needs(verdict, tmp_path):
    verdict.holds(logit_spread, treated=HE, control=ZEROS)
    path = record.record(verdict, "a reason")
    whole = read_evidence(path)
    assert path == tmp_path / "evidence" / "he_tells_images_apart.json"
    check_evidence(path, whole)
    (entry,) = whole["environments"]
    assert entry["reason"] == "a reason"
    assert entry["environment"]["device type"] == "cpu"
    assert entry["data"] == {"mnist5k": verdict.laboratory.data("mnist5k").fingerprint}
    comparison = entry["comparisons"]["logit_spread"]
    drawn = seeds.stage(seeds.RECORDING, decisions.ENOUGH_RECORDED)
    for side, arm in (("treated", HE), ("control", ZEROS)):
        assert comparison[f"{side}_arm"] == str(arm)
        assert comparison[side] == verdict.laboratory.values(logit_spread, arm, drawn, "cpu")
        assert entry["arms"][str(arm)]["seeds"] == list(drawn)
        reference = entry["arms"][str(arm)]["reference"]
        assert reference["seeds"] == list(seeds.reference())
        assert reference["steps"] == [0, 1, 2, 4]
    assert entry["origin"]["logit_spread"]["control_mean"] == 0.0


def test_what_was_recorded_is_then_followed(verdict):
    verdict.holds(logit_spread, treated=HE, control=ZEROS)
    record.record(verdict, "a reason")
    again = replace(verdict, probes=[], pairs=[])
    again.holds(logit_spread, treated=HE, control=ZEROS)
    again.judge()
    (entry,) = again.probes
    assert entry.verdict == "pass"
    treated = entry.drift["treated"]
    assert (treated.verdict, treated.r, treated.recorded_n) == ("unchanged", 0.0, 64)
    assert entry.drift["control"].mean is None  # zeros vary by nothing


def test_exact_claims_are_recorded_on_the_seeds_of_the_envelope(verdict):
    exact = replace(verdict, kind="exact")
    exact.holds(logit_spread, treated=HE, control=ZEROS)
    (entry,) = read_evidence(record.record(exact, "a reason"))["environments"]
    assert len(entry["comparisons"]["logit_spread"]["treated"]) == seeds.REFERENCE


def test_rates_are_not_compared_by_their_means(verdict):
    verdict.baselines.limits["he_tells_images_apart"]["spread_at_all"] = replace(
        verdict.baselines.limit("he_tells_images_apart", "logit_spread"), low=0.5
    )
    verdict.rate(spread_at_all, treated=HE, control=ZEROS)
    record.record(verdict, "a reason")
    again = replace(verdict, probes=[], pairs=[])
    again.rate(spread_at_all, treated=HE, control=ZEROS)
    again.judge()
    assert again.summary() == "pass"
    assert again.probes[0].drift["treated"].mean is None


def spread_at_all(trained):
    """1 where any logit differs between two images."""
    return (logit_spread(trained) > 0).double()


def not_finite(trained):
    """NaN on every seed."""
    return logit_spread(trained) * math.nan


def test_value_that_is_not_finite_is_not_recorded(verdict):
    verdict.baselines.limits["he_tells_images_apart"]["not_finite"] = verdict.baselines.limit(
        "he_tells_images_apart", "logit_spread"
    )
    verdict.holds(not_finite, treated=HE, control=ZEROS)
    message = "not_finite has NaN or infinite values on the treated side"
    with pytest.raises(BaselineError, match=message):
        record.record(verdict, "a reason")
    assert not verdict.baselines.path("he_tells_images_apart").exists()


def half_of_it(trained):
    """The spread of answers of every seed, pushed towards zero by one that is drawn."""
    spread = logit_spread(trained)
    return spread - spread.max() * torch.linspace(0, 0.6, len(spread))


def test_limit_between_arms_that_lie_close_is_not_recorded(verdict):
    limits = verdict.baselines.limits["he_tells_images_apart"]
    limits["half_of_it"] = limits["logit_spread"]
    verdict.holds(half_of_it, treated=HE, control=ZEROS)
    with pytest.raises(
        BaselineError, match=r"half_of_it: the gap between the arms .*verdict\.gains"
    ):
        record.record(verdict, "a reason")
    assert not verdict.baselines.path("he_tells_images_apart").exists()


def ahead_on_most(trained):
    """Between -.2 and .8 over the seeds where there is any answer; zero where there is none."""
    answers = logit_spread(trained).sign()
    return answers * torch.linspace(-0.2, 0.8, len(answers))


@pytest.mark.parametrize(("margin", "ahead"), [(0.3, 32), (0.0, 51)])
def test_gain_that_sixteen_seeds_often_fail_to_show_is_not_recorded(verdict, margin, ahead):
    limits = verdict.baselines.limits["he_tells_images_apart"]
    limits["ahead_on_most"] = replace(limits["logit_spread"], low=-math.inf, margin=margin)
    verdict.gains(ahead_on_most, better=HE, worse=ZEROS)
    with pytest.raises(BaselineError, match=rf"exceeds its margin .* on {ahead} of 64 seeds"):
        record.record(verdict, "a reason")
    assert not verdict.baselines.path("he_tells_images_apart").exists()


def test_gain_that_nearly_every_seed_shows_is_recorded(verdict):
    limits = verdict.baselines.limits["he_tells_images_apart"]
    limits["ahead_on_most"] = replace(limits["logit_spread"], low=-math.inf, margin=-0.19)
    verdict.gains(ahead_on_most, better=HE, worse=ZEROS)
    assert record.record(verdict, "a reason").exists()


def test_shipped_measured_limits_lie_between_arms_far_apart():
    shipped = Baselines(Path(__file__).parents[2] / "baselines")
    found = 0
    for path in shipped.files():
        whole = read_evidence(path)
        for entry in whole["environments"]:
            for key, comparison in entry["comparisons"].items():
                limit = shipped.limit(whole["claim"].partition("[")[0], key.partition(" (")[0])
                if (limit.kind, comparison["form"]) == ("measured", "holds"):
                    room = decisions.gap_in_ranges(comparison["treated"], comparison["control"])
                    assert room >= decisions.ROOM, f"{path.stem}, {key}"
                    found += 1
    assert found > 20


def test_second_recording_far_from_the_first_is_refused(verdict):
    verdict.holds(logit_spread, treated=HE, control=ZEROS)
    path = record.record(verdict, "first")
    before = path.read_bytes()
    larger = replace(HE, initializer=he.but("output.weight", twice))
    other = replace(verdict, probes=[], pairs=[])
    other.holds(logit_spread, treated=larger, control=ZEROS)
    with pytest.raises(BaselineError, match="--initcheck-accept-drift"):
        record.record(other, "second")
    assert path.read_bytes() == before
    record.record(other, "second", "the output starts larger")
    (entry,) = read_evidence(path)["environments"]
    assert entry["accepted"][0]["reason"] == "the output starts larger"
    assert entry["reason"] == "second"


def twice(tensor, generator):
    """Twice He's standard deviation."""
    return tensor.normal_(std=2 * (2 / tensor.shape[1]) ** 0.5, generator=generator)


def test_commit_is_empty_where_there_is_no_git(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", missing)
    assert record.commit() == ""
