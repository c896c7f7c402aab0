"""Runs of the gate are stored as they were, and read again."""

from __future__ import annotations

import math

import pytest

from initcheck.error_rates import rates
from initcheck.error_rates import runs as stored
from initcheck.error_rates.runs import Run
from initcheck.results import Drift
from tests.helpers.error_rates import run
from tests.helpers.results import drift, probe, result


def results(verdict="pass", parameters="", device="cpu", **arm):
    warm = Drift(**{"verdict": "unchanged", "r": 1.25} | arm)
    drifts = {"treated": warm, "control": Drift(verdict="no evidence")}
    names = {"treated_name": "warm", "control_name": "cold"}
    found = probe(verdict, probe="p", reason="so it is", case="one", drift=drifts, **names)
    return [result("a", found, parameters=parameters, device=device)]


def test_run_holds_verdicts_and_r():
    result = stored.from_results(results("drifted"), kind="clean", name="suite", salt="s")
    assert result.claims == {"a": "drifted"}
    assert result.red == ("a",)
    assert result.why == {"a": "p drifted: so it is"}
    assert result.arms == {"a": {"warm (one)": 1.25, "cold (one)": None}}
    assert result.losses == {"a": {"warm (one)": None, "cold (one)": None}}
    assert result.moved == []


def test_run_holds_r_of_the_losses_alone():
    found = stored.from_results(results(loss_r=0.5), kind="innocent", name="same", salt="")
    assert found.losses == {"a": {"warm (one)": 0.5, "cold (one)": None}}
    assert rates.envelopes([found], losses_alone=True)["a", "warm (one)"] == {"same": 0.5}
    part = stored.from_results(results(loss_r=2.0), kind="innocent", name="same", salt="")
    assert stored.merged(found, part).losses["a"]["warm (one)"] == 2.0
    assert stored.only_red(found).losses == {}


def test_run_keeps_what_a_claim_crashed_with():
    judged = probe("invalid", reason="")  # it was about to be judged
    crashed = [result("a", judged, message="RuntimeError: two devices")]
    found = stored.from_results(crashed, kind="fault", name="x", salt="s")
    assert found.why == {"a": "RuntimeError: two devices"}


@pytest.mark.parametrize("name", ["changed start", "alike"])
def test_arm_that_left_its_start_is_infinitely_far(name):
    left = [result("a", probe("drifted", case="one", drift={"treated": drift(name, r=None)}))]
    found = stored.from_results(left, kind="fault", name="seed_ignored", salt="s")
    assert rates.rounded(found.arms["a"]["he (one)"]) == "inf"
    assert found.verdicts == {"a": "drifted"}


def test_run_holds_the_arms_whose_outcomes_moved():
    moved = results(mean=3.0, recorded_mean=1.0, allowed=1.5)
    result = stored.from_results(moved, kind="clean", name="suite", salt="s")
    assert result.moved == ["a: warm (one)"]
    by_ranks = results(mean=3.0, recorded_mean=1.0, allowed=1.5, moved=False)
    assert stored.from_results(by_ranks, kind="clean", name="suite", salt="s").moved == []


def test_every_parameter_of_a_claim_keeps_its_arms():
    whole = [
        *results("drifted", "float32-adam", r=4000.0), *results("pass", "float64-sgd", r=0.0),
    ]  # fmt: skip
    found = stored.from_results(whole, kind="fault", name="lr_halved", salt="s")
    rs = {name: arms["warm (one)"] for name, arms in found.arms.items()}
    assert rs == {"a[float32-adam]": 4000.0, "a[float64-sgd]": 0.0}
    assert found.verdicts == {"a[float32-adam]": "drifted", "a[float64-sgd]": "pass"}
    assert found.green == 1


@pytest.mark.parametrize(
    ("verdicts", "caught"),
    [
        (["pass", "pass"], "pass"),
        (["drifted", "refuted"], "refuted"),
        (["refuted", "invalid"], "refuted"),
        (["drifted", "invalid"], "drifted"),
        (["pass", "invalid"], "invalid"),
    ],
)
def test_claim_that_left_its_limit_is_refuted_whatever_else_happened(verdicts, caught):
    """Whether a limit or the record caught a fault is stored for each claim of each run."""
    together = [result("a", *(probe(verdict) for verdict in verdicts))]
    one_by_one = [result("a", probe(verdict)) for verdict in verdicts]  # on two devices
    for whole in (together, one_by_one, one_by_one[::-1]):
        found = stored.from_results(whole, kind="fault", name="x", salt="s")
        assert found.verdicts == {"a": caught}


def test_of_a_whole_run_the_red_claims_and_the_farthest_arm_are_kept():
    whole = [
        *results("drifted", "red", r=40.0), *results("pass", "green", r=2.0),
        *results("pass", "farthest", r=50.0),
    ]  # fmt: skip
    found = stored.only_red(stored.from_results(whole, kind="clean", name="suite", salt="s"))
    assert (found.claims, found.green) == ({"a": "drifted"}, 2)
    assert found.verdicts == {"a[red]": "drifted"}
    assert found.arms == {
        "a[red]": {"warm (one)": 40.0, "cold (one)": None}, "a[farthest]": {"warm (one)": 50.0},
    }  # fmt: skip


def test_the_farthest_of_several_devices_is_kept():
    whole = [
        *results(r=2.0), *results(r=None, device="cuda:0"), *results(r=1.0, device="cuda:0"),
    ]  # fmt: skip
    found = stored.from_results(whole, kind="innocent", name="same", salt="")
    assert found.arms["a"]["warm (one)"] == 2.0


def test_infinite_r_is_kept_as_a_number():
    found = stored.from_results(results(r=math.inf), kind="clean", name="suite", salt="s")
    assert found.arms["a"]["warm (one)"] == 1e30


def test_one_bad_parameter_makes_a_claim_red():
    twice = results("refuted") + results("pass")
    found = stored.from_results(twice, kind="clean", name="suite", salt="s")
    assert found.claims == {"a": "refuted"}


def test_run_replaces_one_with_the_same_salt(tmp_path):
    for seconds in (1.0, 2.0):
        stored.store(tmp_path, run("clean", "suite", "s", seconds=seconds))
    assert [each.seconds for each in stored.read(tmp_path)] == [2.0]


def test_runs_are_read_as_they_were_stored(tmp_path):
    runs = [run("clean", "suite", "s", claims={"a": "pass"}), run("fault", "leaky_relu", "t")]
    for each in reversed(runs):
        stored.store(tmp_path, each)
    assert stored.read(tmp_path) == runs


def test_line_that_is_not_a_run_is_named(tmp_path):
    (tmp_path / "clean-suite.jsonl").write_text('{"kind": 1')
    with pytest.raises(ValueError, match=r"clean-suite\.jsonl, line 1 is not a run of the gate"):
        stored.read(tmp_path)


def test_old_results_of_claims_that_the_second_run_did_not_reach_are_dropped():
    old = Run("innocent", "x", "", claims={"a": "pass", "b": "pass", "c": "pass"})
    part = Run("innocent", "x", "", commit="new", claims={"a": "refuted"})
    run = stored.merged(old, part, {"a", "b"})
    assert (run.claims, run.again) == ({"c": "pass", "a": "refuted"}, {"a": "new"})


def test_arms_of_claims_run_again_replace_the_old_ones():
    old = Run("innocent", "same", "", arms={"a": {"warm": 9.0}, "b": {"warm": 1.0}})
    new = Run("innocent", "same", "", claims={"a": "pass"}, arms={"a[x]": {"warm": 2.0}})
    assert stored.merged(old, new).arms == {"a[x]": {"warm": 2.0}, "b": {"warm": 1.0}}
