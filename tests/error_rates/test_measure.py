"""Runs of the gate are stored as they were, and planned runs are made once."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from initcheck.claims import Claim
from initcheck.error_rates import measure, rates
from initcheck.error_rates import runs as stored
from initcheck.error_rates.runs import Run
from initcheck.results import Drift
from tests.helpers.error_rates import LIMITS, baselines_in, run
from tests.helpers.results import ENVIRONMENT, drift, example, probe, result


@pytest.fixture
def baselines(tmp_path):
    return baselines_in(tmp_path)


# --- stored ---------------------------------------------------------------------------------------


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
    assert result.moved == []


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
    assert rates.by_envelope(found)


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
    assert rates.by_envelope(found)


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


# --- plans ----------------------------------------------------------------------------------------


def claim(name, file="benchmarks/test_a.py"):
    return Claim(claim=name, kind="exact", source="", statement="", file=file, line=1)


def test_tests_are_named_without_parameters():
    claims = [claim("a[x]"), claim("a[y]"), claim("b")]
    assert measure.nodes(claims, ["a"]) == ("benchmarks/test_a.py::test_a",)
    assert len(measure.nodes(claims)) == 2


def test_each_fault_is_run_once_before_any_is_run_again(baselines):
    plans = measure.faults([claim("sun_rises")], baselines, runs=2, headline=3)
    assert [plan.salt for plan in plans] == ["leaky_relu-0", "leaky_relu-1"]
    assert plans[0].tests == ("benchmarks/test_a.py::test_sun_rises",)
    assert "leaky_relu" in plans[0].command(baselines, baselines / "x.json")


def test_change_spares_the_claims_for_which_it_is_not_innocent(baselines):
    claims = [claim("masked_samples_set_a_ceiling"), claim("a")]
    plans = {plan.name: plan for plan in measure.innocents(claims)}
    assert plans["float64"].tests == ("benchmarks/test_a.py::test_a",)
    assert len(plans["module"].tests) == 2


def test_another_device_is_one_innocent_change(baselines):
    (plan,) = measure.innocents([claim("masked_samples_set_a_ceiling")], device="xpu")
    assert (plan.name, len(plan.tests)) == ("xpu", 1)
    command = plan.command(baselines, baselines)
    assert command[command.index("--initcheck-device") + 1] == "xpu"


@pytest.mark.parametrize(("device", "needy"), [("", False), ("cpu", False), ("xpu", True)])
def test_faults_on_a_device_have_separate_runs(tmp_path, device, needy):
    (tmp_path / "limits.toml").write_text(LIMITS + LIMITS.replace("sun_rises", "he_beats_randn"))
    claims = [claim("sun_rises"), claim("he_beats_randn")]
    plans = measure.faults(claims, tmp_path, runs=1, headline=1, device=device)
    assert {plan.device for plan in plans} == {device}
    assert ("device_computes_on_cpu" in {plan.name for plan in plans}) is needy
    (leaky,) = [plan for plan in plans if plan.name == "leaky_relu"]
    assert leaky.salt == (f"leaky_relu-{device}-0" if device else "leaky_relu-0")
    assert ("--initcheck-device" in leaky.command(tmp_path, tmp_path)) is bool(device)


def test_change_is_made_by_variables_options_or_a_context(baselines):
    plans = {plan.name: plan for plan in measure.innocents([claim("a")])}
    assert plans["aten-avx2"].variables()["ATEN_CPU_CAPABILITY"] == "avx2"
    assert "module" in plans["module"].command(baselines, baselines)[-4:]
    assert "initcheck.error_rates.changes" in plans["float64"].command(baselines, baselines)


def test_clean_runs_leave_the_envelope_out(baselines):
    (plan,) = measure.clean([claim("a")], 1)
    assert "--initcheck-judge" in plan.command(baselines, baselines)


def test_stored_runs_are_not_made_again(tmp_path, monkeypatch, capsys):
    made = []
    monkeypatch.setattr(measure, "one", lambda plan, *_: made.append(plan) or plan.run)
    plans = measure.clean([claim("a")], 3)
    stored.store(tmp_path, plans[1].run)
    assert measure.measure(plans, tmp_path, tmp_path, minutes=1) == 2
    assert [plan.salt for plan in made] == ["operating-0", "operating-2"]
    assert measure.measure(plans, tmp_path, tmp_path, minutes=1) == 0


def test_no_run_starts_when_the_time_is_up(tmp_path):
    assert measure.measure(measure.clean([claim("a")], 3), tmp_path, tmp_path, minutes=-1) == 0


@pytest.mark.parametrize("plan", [measure.innocents([])[0]])
def test_process_without_results_is_printed_and_not_counted(tmp_path, monkeypatch, capsys, plan):
    crashed = SimpleNamespace(stdout="", stderr="Segmentation fault", returncode=-11)
    monkeypatch.setattr(measure.subprocess, "run", lambda *_, **__: crashed)
    assert measure.one(plan, tmp_path) is None
    assert "Segmentation fault" in capsys.readouterr().out


@pytest.mark.parametrize("status", [0, 1, -11])
@pytest.mark.parametrize("written", [None, results()], ids=["no results", "all green"])
def test_clean_run_in_which_a_claim_did_not_run_is_red(tmp_path, monkeypatch, written, status):
    def run(arguments, **_):
        if written is not None:
            file = Path(arguments[arguments.index("--initcheck-json") + 1])
            file.write_text("{}")
        return "words", status

    cpu = {"name": "cpu", "type": "cpu", "hardware": "an abacus", "capability": "BEADS"}
    gpu = {"name": "cuda", "type": "cuda", "hardware": "a loom", "capability": "9.0"}
    about = replace(ENVIRONMENT, devices=[cpu, gpu])
    read = None if written is None else replace(example(*written), environment=about)
    monkeypatch.setattr(measure.forkserver, "possible", lambda: True)
    monkeypatch.setattr(measure.forkserver, "run", run)
    monkeypatch.setattr(measure.results, "read", lambda _: read)
    found = measure.one(measure.clean([claim("a")], 1)[0], tmp_path)
    green = written is not None and status == 0
    assert found.red == (() if green else ("the whole suite",))
    assert found.commit
    assert found.machine.startswith("an abacus (BEADS), a loom, " if written else "")


def test_fault_that_the_envelope_caught_twice_runs_until_one_claim_is_red(
    tmp_path, monkeypatch, capsys
):
    red = {"claims": {"sun_rises": "drifted"}, "arms": {"sun_rises": {"warm": 99.0}}}
    outcomes = {"by_envelope": red, "by_outcome": red | {"arms": {"sun_rises": {"warm": 9.0}}}}
    unlimited = []

    def one(plan, *_):
        unlimited.extend([plan.salt] if not plan.until_red else [])
        return Run(plan.kind, plan.name, plan.salt, **outcomes[plan.name])

    monkeypatch.setattr(measure, "one", one)
    plans = [
        measure.Plan("fault", name, f"{name}-{i}", ()) for i in range(4)
        for name in ("by_envelope", "by_outcome")
    ]  # fmt: skip
    assert measure.measure(plans, tmp_path, tmp_path, minutes=1) == 8
    assert [salt for salt in unlimited if "envelope" in salt] == ["by_envelope-0", "by_envelope-1"]
    assert len([salt for salt in unlimited if "outcome" in salt]) == 4
    kills = rates.kills(stored.read(tmp_path))
    assert (kills["by_envelope"].certain, kills["by_outcome"].certain) == (True, False)


def test_only_the_first_runs_decide_whether_one_red_claim_is_enough():
    left = {"claims": {"a": "drifted"}, "arms": {"a": {"warm": 99.0}}}
    runs = [Run("fault", "x", f"x-{i}", **left) for i in (10, 1)]
    plan = measure.Plan("fault", "x", "x-11", ())
    assert not measure.settled(plan, runs[:1])
    assert measure.settled(plan, runs)
    by_limit = Run("fault", "x", "x-9", claims={"a": "refuted"})
    assert measure.settled(plan, [*runs, Run("fault", "x", "x-0", **left), by_limit])
    assert not measure.settled(plan, [*runs, by_limit])


def test_run_until_one_claim_is_red_exits_at_the_first_failure(baselines):
    plan = measure.Plan("fault", "leaky_relu", "s", (), until_red=True)
    assert "--exitfirst" in plan.command(baselines, baselines)
    assert "--exitfirst" not in measure.replace(plan, until_red=False).command(baselines, baselines)


def test_headline_claim_runs_first_and_most_often_under_its_fault(tmp_path):
    limits = LIMITS + LIMITS.replace("sun_rises", measure.HEADLINE[0])
    (tmp_path / "limits.toml").write_text(limits)
    claims = [claim("sun_rises"), claim(measure.HEADLINE[0])]
    plans = measure.faults(claims, tmp_path, runs=2, headline=3)
    leaky = [plan for plan in plans if plan.name == "leaky_relu"]
    assert len(leaky) == 3
    assert leaky[0].tests == tuple(f"benchmarks/test_a.py::test_{c.claim}" for c in claims[::-1])
    others = [plan for plan in plans if plan.name == "zeros_with_noise"]
    assert [plan.tests for plan in others] == [leaky[0].tests[:1]] * 2


@pytest.mark.parametrize(
    ("r", "until_red", "judged"),
    [(99.0, False, ["record"]), (9.0, False, ["record", "all"]), (9.0, True, ["record"])],
)
def test_limits_are_judged_only_if_the_record_does_not_catch_the_fault(
    monkeypatch, r, until_red, judged
):
    asked = []

    def one(plan, *_):
        asked.append(plan.judge)
        return Run(
            "fault", "x", "", claims={"sun_rises": "drifted"}, arms={"sun_rises": {"warm": r}}
        )

    monkeypatch.setattr(measure, "_one", one)
    plan = measure.Plan("fault", "x", "", (), until_red=until_red)
    assert measure.one(plan, None) is not None
    assert asked == judged


@pytest.mark.skipif(not measure.forkserver.possible(), reason="this platform cannot fork processes")
def test_forked_run_has_the_output_and_exit_code_of_a_run():
    output, status = measure.forkserver.run(
        ["--initcheck-fault", "no-such-fault"], threads=1, seconds=300
    )
    assert "--initcheck-fault: " in output
    assert status == 4


def test_changed_claims_run_again_on_the_seeds_of_clean_runs(tmp_path, monkeypatch, capsys):
    old = Run("clean", "suite", "operating-1", commit="old", claims={"a": "refuted", "b": "pass"},
              why={"a": "so"}, moved=["a: warm", "b: warm"])  # fmt: skip
    stored.store(tmp_path, old)
    claims = [claim("a"), claim("b")]
    plans = measure.clean(claims[:1], 2)
    (plan,) = measure.reruns(plans, stored.read(tmp_path))
    assert (plan.salt, plan.tests) == ("operating-1", ("benchmarks/test_a.py::test_a",))
    new = Run(
        "clean", "suite", "operating-1", commit="new", claims={"a": "pass"}, moved=["a: cold"]
    )
    monkeypatch.setattr(measure, "one", lambda plan, *_: stored.merged(plan.before, new))
    measure.measure([plan], tmp_path, tmp_path, minutes=1)
    (run,) = stored.read(tmp_path)
    assert (run.commit, run.claims, run.why) == ("old", {"a": "pass", "b": "pass"}, {})
    assert (run.moved, run.again) == (["a: cold", "b: warm"], {"a": "new"})
    monkeypatch.setattr(measure, "commit", lambda: "new")
    assert measure.reruns(plans, [run]) == []
    monkeypatch.setattr(measure, "commit", lambda: "newer")
    assert len(measure.reruns(plans, [run])) == 1


def test_old_results_of_claims_that_the_second_run_did_not_reach_are_dropped(monkeypatch):
    old = Run("fault", "x", "", claims={"a": "pass", "b": "pass", "c": "pass"})
    part = Run("fault", "x", "", commit="new", claims={"a": "refuted"})
    run = stored.merged(old, part, {"a", "b"})
    assert (run.claims, run.again) == ({"c": "pass", "a": "refuted"}, {"a": "new"})
    monkeypatch.setattr(measure, "commit", lambda: "new")
    plan = measure.Plan("fault", "x", "", ("file.py::test_a", "file.py::test_b"))
    assert measure.reruns([plan], [run]) == []


def test_arms_of_claims_run_again_replace_the_old_ones():
    old = Run("innocent", "same", "", arms={"a": {"warm": 9.0}, "b": {"warm": 1.0}})
    new = Run("innocent", "same", "", claims={"a": "pass"}, arms={"a[x]": {"warm": 2.0}})
    assert stored.merged(old, new).arms == {"a[x]": {"warm": 2.0}, "b": {"warm": 1.0}}
