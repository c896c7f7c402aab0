"""Which runs are planned, by which commands, and when a stored run counts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from initcheck.claims import Claim
from initcheck.error_rates import fingerprint, plans
from initcheck.error_rates.plans import Plan
from initcheck.error_rates.runs import Run
from initcheck.error_rates.ways import ROOT
from tests.helpers.error_rates import LIMITS, baselines_in

SHIPPED = ROOT / "baselines"


@pytest.fixture
def baselines(tmp_path):
    return baselines_in(tmp_path)


@pytest.fixture(autouse=True)
def fingerprints(monkeypatch):
    """Fingerprints by hand: those of the checkout take a second each."""
    monkeypatch.setattr(fingerprint, "of_gate", lambda root: "gate-now")
    monkeypatch.setattr(fingerprint, "of_fault", lambda root, claims: f"{'+'.join(claims)}-now")


def claim(name, file="benchmarks/test_a.py"):
    return Claim(claim=name, kind="exact", source="", statement="", file=file, line=1)


def command(plan, baselines):
    return plan.invocation(baselines, baselines).command


def test_tests_are_named_without_parameters():
    claims = [claim("a[x]"), claim("a[y]"), claim("b")]
    assert plans.nodes(claims, ["a"]) == ("benchmarks/test_a.py::test_a",)
    assert len(plans.nodes(claims)) == 2


# --- innocent changes -----------------------------------------------------------------------------


def test_change_spares_the_claims_for_which_it_is_not_innocent():
    claims = [claim("masked_samples_set_a_ceiling"), claim("a")]
    planned = {plan.name: plan for plan in plans.innocents(claims)}
    assert planned["float64"].tests == ("benchmarks/test_a.py::test_a",)
    assert len(planned["module"].tests) == 2


def test_another_device_is_one_innocent_change(baselines):
    (plan,) = plans.innocents([claim("masked_samples_set_a_ceiling")], device="xpu")
    assert (plan.name, len(plan.tests)) == ("xpu", 1)
    words = command(plan, baselines)
    assert words[words.index("--initcheck-device") + 1] == "xpu"


def test_change_is_made_by_variables_options_or_a_context(baselines):
    planned = {plan.name: plan for plan in plans.innocents([claim("a")])}
    by_variable = planned["aten-avx2"].invocation(baselines, baselines).environment()
    assert by_variable["ATEN_CPU_CAPABILITY"] == "avx2"
    assert "module" in command(planned["module"], baselines)[-2:]
    assert "initcheck.error_rates.changes" in command(planned["float64"], baselines)


def test_claims_that_changed_run_again_under_innocent_changes():
    planned = plans.innocents([claim("a")])
    old = Run("innocent", "module", "", commit="old", claims={"a": "pass", "b": "pass"})
    (plan,) = plans.reruns(planned, [old], "new")
    assert (plan.name, plan.before) == ("module", old)
    assert not plan.stored(old)
    assert plans.reruns(planned, [replace(old, again={"a": "new"})], "new") == []
    assert len(plans.reruns(planned, [replace(old, again={"a": "new"})], "newer")) == 1


# --- faults ---------------------------------------------------------------------------------------


def test_each_fault_is_run_once_before_any_is_run_again(baselines):
    planned = plans.faults([claim("sun_rises")], baselines, runs=2, headline=3)
    assert [plan.salt for plan in planned] == ["leaky_relu-0", "leaky_relu-1"]
    assert planned[0].tests == ("benchmarks/test_a.py::test_sun_rises",)


def test_fault_is_judged_by_the_unchanged_gate():
    """Apart from the fault, only the claims are selected, the seeds drawn and results written."""
    plan = Plan("fault", "leaky_relu", "leaky_relu-7", ("benchmarks/test_a.py::test_a",))
    assert command(plan, SHIPPED)[1:] == [
        "-m", "pytest", "benchmarks/test_a.py::test_a",
        "--initcheck-json", str(SHIPPED / "results.json"),
        "--initcheck-salt", "leaky_relu-7", "--initcheck-fault", "leaky_relu",
    ]  # fmt: skip


def test_other_baselines_are_named(baselines):
    words = command(Plan("fault", "leaky_relu", "s"), baselines)
    assert words[words.index("--initcheck-baselines") + 1] == str(baselines)


@pytest.mark.parametrize(("device", "needy"), [("", False), ("cpu", False), ("xpu", True)])
def test_faults_on_a_device_have_separate_runs(tmp_path, device, needy):
    (tmp_path / "limits.toml").write_text(LIMITS + LIMITS.replace("sun_rises", "he_beats_randn"))
    claims = [claim("sun_rises"), claim("he_beats_randn")]
    planned = plans.faults(claims, tmp_path, runs=1, headline=1, device=device)
    assert {plan.device for plan in planned} == {device}
    assert ("device_computes_on_cpu" in {plan.name for plan in planned}) is needy
    (leaky,) = [plan for plan in planned if plan.name == "leaky_relu"]
    assert leaky.salt == (f"leaky_relu-{device}-0" if device else "leaky_relu-0")
    assert ("--initcheck-device" in command(leaky, tmp_path)) is bool(device)


def test_fault_of_a_headline_claim_runs_most_often(tmp_path):
    limits = LIMITS + LIMITS.replace("sun_rises", plans.HEADLINE[0])
    (tmp_path / "limits.toml").write_text(limits)
    claims = [claim("sun_rises"), claim(plans.HEADLINE[0])]
    planned = plans.faults(claims, tmp_path, runs=2, headline=3)
    assert len([plan for plan in planned if plan.name == "leaky_relu"]) == 3
    assert len([plan for plan in planned if plan.name == "zeros_with_noise"]) == 2


# --- whole runs -----------------------------------------------------------------------------------


def test_whole_runs_have_fresh_seeds_for_each_state_of_the_gate(monkeypatch):
    planned = plans.clean(3)
    assert [plan.number for plan in planned] == [0, 1, 2]
    assert [plan.salt for plan in planned] == ["suite-gate-n-0", "suite-gate-n-1", "suite-gate-n-2"]
    monkeypatch.setattr(fingerprint, "of_gate", lambda root: "changed")
    assert not {plan.salt for plan in planned} & {plan.salt for plan in plans.clean(3)}


def test_whole_run_with_two_workers_counts_for_two_jobs():
    planned = plans.clean(20)
    assert {plan.slots for plan in planned} == {1, 2}
    for plan in planned:
        assert (plan.slots == 2) is ("-n" in plan.run.way["processes"])


def test_whole_run_has_the_command_of_its_number(tmp_path):
    (plan,) = plans.clean(1)
    words = command(plan, tmp_path)
    assert words[-6:-2] == ["-n", "2", "--initcheck-salt", plan.salt]


# --- what counts ----------------------------------------------------------------------------------


def test_runs_count_if_they_ended_and_nothing_that_decides_them_changed(baselines):
    whole = Run("clean", "suite", "s", exit=0, fingerprint="gate-now")
    fault = Run("fault", "leaky_relu", "s", exit=1, fingerprint="sun_rises-now")
    change = Run("innocent", "module", "")
    others = [
        replace(whole, exit=None), replace(whole, fingerprint="gate-before"),
        replace(fault, fingerprint="gate-now"), replace(fault, exit=None),
        replace(fault, name="leaking_relu"), Run("clean", "suite", "operating-1"),
    ]  # fmt: skip
    assert plans.counted([whole, *others, fault, change], baselines) == [whole, fault, change]


def test_run_is_made_again_if_it_was_interrupted_or_the_gate_changed():
    (plan,) = plans.clean(1)
    ended = replace(plan.run, exit=1)
    assert plan.stored(ended)
    assert not plan.stored(None)
    assert not plan.stored(replace(ended, exit=None))
    assert not plan.stored(replace(ended, fingerprint="gate-before"))


def test_whole_runs_need_this_checkout_and_xdist(monkeypatch):
    places = {"benchmarks": str(ROOT / "benchmarks" / "__init__.py"), "xdist": "xdist.py"}
    monkeypatch.setattr(plans, "_imported", places.get)
    monkeypatch.setattr(plans.shutil, "which", lambda name: "/bin/taskset")
    assert plans.unfit() == ""
    monkeypatch.setattr(plans.shutil, "which", lambda name: None)
    assert "taskset" in plans.unfit()
    del places["xdist"]
    assert "pip install -e" in plans.unfit()
    places["benchmarks"] = str(Path("/elsewhere/benchmarks/__init__.py"))
    assert "imports benchmarks from /elsewhere" in plans.unfit()
    del places["benchmarks"]
    assert "imports benchmarks from nowhere" in plans.unfit()


def test_shipped_runs_have_the_format_that_is_read():
    for path in (SHIPPED / "operating").glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            Run(**json.loads(line))
