"""The page of error rates: its figures against scipy and known answers, and where runs are kept."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from evidence_example import ARMS, REFERENCE, comparison, evidence
from scipy.stats import beta

from initcheck import ahead, recipes, scales, training
from initcheck.baselines import LimitEntry
from initcheck.faults import FAULTS
from initcheck.listing import Claim
from initcheck.marks import BEYOND
from initcheck.operating import elsewhere, figures, measure, page, shards
from initcheck.operating.innocent import INNOCENT
from initcheck.operating.shards import Run

LIMITS = """
[sun_rises.accuracy]
min = 0.5
unit = "share"
kind = "measured"
why = "it always did"
fault = "leaky_relu"
"""
ABOUT = {"commit": "abc", "torch": "2.14.1", "machine": "an abacus", "date": "2026-11-22"}


def run(kind, name, salt="", **found):
    return Run(kind, name, salt, **ABOUT, **found)


@pytest.fixture
def baselines(tmp_path):
    (tmp_path / "limits.toml").write_text(LIMITS)
    return tmp_path


# --- figures


@pytest.mark.parametrize(("hits", "runs"), [(20, 20), (59, 59), (0, 7), (3, 11)])
def test_bounds_are_those_of_clopper_and_pearson(hits, runs):
    low = beta.ppf(0.05, hits, runs - hits + 1) if hits else 0.0
    high = beta.ppf(0.95, hits + 1, runs - hits) if hits < runs else 1.0
    assert figures.lower_bound(hits, runs) == pytest.approx(low)
    assert figures.upper_bound(hits, runs) == pytest.approx(high)


def test_bounds_of_the_two_numbers_of_runs():
    """20 of 20 shows a power of 0.86 and 59 of 59 one of 0.95; 299 clean runs bound 1 %."""
    assert figures.lower_bound(20, 20) == pytest.approx(0.861, abs=5e-4)
    assert figures.lower_bound(59, 59) == pytest.approx(0.950, abs=5e-4)
    assert figures.upper_bound(0, 299) <= 0.01 < figures.upper_bound(0, 298)
    assert (figures.lower_bound(0, 0), figures.upper_bound(0, 0)) == (0.0, 1.0)


def test_largest_r_is_found_over_arms_and_changes():
    runs = [
        run("innocent", "threads", arms={"a": {"x": 1.5, "y": None}}),
        run("innocent", "module", arms={"a": {"x": 0.5}, "b": {"z": 2.5}}),
    ]
    table = figures.envelopes(runs)
    assert table["a", "x"] == {"threads": 1.5, "module": 0.5}
    assert figures.largest(table) == (2.5, ("b", "z"), "module")
    assert figures.largest({}) is None


def test_kill_matrix_counts_runs_claim_by_claim():
    runs = [
        run("fault", "leaky_relu", "0", claims={"a": "drifted", "b": "pass"}),
        run("fault", "leaky_relu", "1", claims={"a": "pass", "b": "pass"}),
    ]
    kills = figures.kills(runs)["leaky_relu"]
    assert (kills.caught, kills.runs) == (1, 2)
    assert kills.by_claim == {"a": (1, 2), "b": (0, 2)}


def sample(values, delta=0.0, name="identity"):
    return figures.Sample("a", "p", "arm", scales.Scale(name, values, delta))


def test_split_halves_of_a_normal_law_keep_their_rate():
    found = figures.sensitivity(sample(np.random.default_rng(3).normal(size=64)), 3, 16)
    assert found.alarms == found.alarms_without_delta
    assert found.alarms_without_delta / figures.SPLITS <= found.nominal


@pytest.mark.parametrize("name", ["identity", "ranks"])
def test_split_halves_of_rare_jumps_keep_their_rate(name):
    """Four of 64 far away: a test of means alone alarms at twice its rate; ranks must agree."""
    found = figures.sensitivity(sample(np.r_[np.zeros(60), np.full(4, 50.0)], name=name), 33, 16)
    assert found.alarms / figures.SPLITS <= found.nominal


def test_what_does_not_matter_is_no_alarm():
    y = np.r_[np.zeros(40), np.ones(24)]
    found = figures.sensitivity(sample(y, 1e3, "ranks"), 1, 16)
    assert found.alarms == 0 < found.alarms_without_delta


def test_samples_are_what_was_recorded_on_the_scale_of_its_unit():
    rng = np.random.default_rng(4)
    treated, control = (list(rng.lognormal(m, 0.7, 64)) for m in (0, 2))
    whole = {"claim": "a_claim[x]", "environments": [{"comparisons": {
        "loss (case)": {"treated_arm": "T", "control_arm": "C", "treated": treated,
                        "control": control},
        "learned": {"treated_arm": "T", "control_arm": "C", "treated": [1.0] * 64,
                    "control": [0.0] * 63 + [1.0]},
    }}]}  # fmt: skip
    limit = LimitEntry("a_claim", "loss", unit="nats", kind="measured", why="", fault="")
    found = list(figures.samples([whole], {"a_claim": {"loss": limit}}))
    assert [(s.claim, s.probe, s.arm, s.scale.name) for s in found] == [
        ("a_claim[x]", "loss (case)", "T", "log"), ("a_claim[x]", "loss (case)", "C", "log"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("r", "words"), [(None, "-"), (0.51, "0.51"), (12345.0, "1.2e+04"), (1e30, "inf")]
)
def test_r_is_written_in_few_digits(r, words):
    assert figures.rounded(r) == words


# --- shards


def results(verdict="pass", **drift):
    side = {"verdict": "unchanged", "r": 1.25} | drift
    probe = {
        "probe": "p", "verdict": verdict, "reason": "so it is",
        "case": "one", "treated_name": "warm", "control_name": "cold",
        "drift": {"treated": side, "control": {"verdict": "no evidence"}},
    }  # fmt: skip
    return {"results": [{"claim": "a", "verdict": verdict, "probes": [probe]}]}


def test_run_keeps_verdicts_and_r():
    found = shards.of_results(results("drifted"), kind="clean", name="suite", salt="s")
    assert found.claims == {"a": "drifted"}
    assert found.red == ("a",)
    assert found.why == {"a": "p drifted: so it is"}
    assert found.arms == {"a": {"warm (one)": 1.25, "cold (one)": None}}
    assert found.moved == []


@pytest.mark.parametrize("name", ["changed start", "alike"])
def test_arm_that_left_its_start_is_infinitely_far(name):
    left = results("drifted", r=None)
    left["results"][0]["probes"][0]["drift"]["treated"]["verdict"] = name
    found = shards.of_results(left, kind="fault", name="seed_ignored", salt="s")
    assert figures.rounded(found.arms["a"]["warm (one)"]) == "inf"
    assert figures.by_envelope(found)


def test_run_keeps_what_moved():
    moved = results(mean=3.0, recorded_mean=1.0, allowed=1.5)
    found = shards.of_results(moved, kind="clean", name="suite", salt="s")
    assert found.moved == ["a: warm (one)"]
    by_ranks = results(mean=3.0, recorded_mean=1.0, allowed=1.5, moved=False)
    assert shards.of_results(by_ranks, kind="clean", name="suite", salt="s").moved == []


def test_infinite_r_is_kept_as_a_number():
    found = shards.of_results(results(r="Infinity"), kind="clean", name="suite", salt="s")
    assert found.arms["a"]["warm (one)"] == 1e30


def test_one_bad_parameter_makes_a_claim_red():
    twice = {"results": results("refuted")["results"] + results("pass")["results"]}
    found = shards.of_results(twice, kind="clean", name="suite", salt="s")
    assert found.claims == {"a": "refuted"}


def test_run_takes_the_place_of_one_with_its_salt(tmp_path):
    for seconds in (1.0, 2.0):
        shards.store(tmp_path, run("clean", "suite", "s", seconds=seconds))
    assert [found.seconds for found in shards.read(tmp_path)] == [2.0]


def test_runs_are_read_as_they_were_stored(tmp_path):
    runs = [run("clean", "suite", "s", claims={"a": "pass"}), run("fault", "leaky_relu", "t")]
    for each in reversed(runs):
        shards.store(tmp_path, each)
    assert shards.read(tmp_path) == runs


def test_broken_shard_is_named(tmp_path):
    (tmp_path / "clean-suite.jsonl").write_text('{"kind": 1')
    with pytest.raises(ValueError, match=r"clean-suite\.jsonl, line 1 is no run of the gate"):
        shards.read(tmp_path)


# --- plans


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


def test_change_spares_the_claims_to_which_it_is_not_innocent(baselines):
    claims = [claim("masked_samples_set_a_ceiling"), claim("a")]
    plans = {plan.name: plan for plan in measure.innocents(claims)}
    assert plans["float64"].tests == ("benchmarks/test_a.py::test_a",)
    assert len(plans["module"].tests) == 2


def test_change_travels_as_variables_options_or_context(baselines):
    plans = {plan.name: plan for plan in measure.innocents([claim("a")])}
    assert plans["aten-avx2"].variables()["ATEN_CPU_CAPABILITY"] == "avx2"
    assert "module" in plans["module"].command(baselines, baselines)[-4:]
    assert "initcheck.operating.innocent" in plans["float64"].command(baselines, baselines)


def test_clean_runs_leave_the_envelope_out(baselines):
    (plan,) = measure.clean([claim("a")], 1)
    assert "initcheck.operating.outcomes" in plan.command(baselines, baselines)


def test_runs_that_are_there_are_not_made_again(tmp_path, monkeypatch, capsys):
    made = []
    monkeypatch.setattr(measure, "one", lambda plan, *_: made.append(plan) or plan.run)
    plans = measure.clean([claim("a")], 3)
    shards.store(tmp_path, plans[1].run)
    assert measure.measure(plans, tmp_path, tmp_path, minutes=1) == 2
    assert [plan.salt for plan in made] == ["operating-0", "operating-2"]
    assert measure.measure(plans, tmp_path, tmp_path, minutes=1) == 0


def test_no_run_is_begun_when_time_is_up(tmp_path):
    assert measure.measure(measure.clean([claim("a")], 3), tmp_path, tmp_path, minutes=-1) == 0


@pytest.mark.parametrize("plan", [measure.clean([claim("a")], 1)[0], measure.innocents([])[0]])
def test_process_without_results_is_shown_and_not_counted(tmp_path, monkeypatch, capsys, plan):
    crashed = SimpleNamespace(stdout="", stderr="Segmentation fault")
    monkeypatch.setattr(measure.subprocess, "run", lambda *_, **__: crashed)
    monkeypatch.setattr(measure.warm, "run", lambda *_, **__: crashed.stderr)
    assert measure.one(plan, tmp_path) is None
    assert "Segmentation fault" in capsys.readouterr().out


def test_fault_that_the_envelope_catches_twice_is_not_run_again(tmp_path, monkeypatch, capsys):
    red = {"claims": {"sun_rises": "drifted"}, "arms": {"sun_rises": {"warm": 99.0}}}
    found = {"by_envelope": red, "by_outcome": red | {"arms": {"sun_rises": {"warm": 9.0}}}}

    def one(plan, *_):
        return Run(plan.kind, plan.name, plan.salt, **found[plan.name])

    monkeypatch.setattr(measure, "one", one)
    plans = [
        measure.Plan("fault", name, f"{name}-{i}", ()) for i in range(4)
        for name in ("by_envelope", "by_outcome")
    ]  # fmt: skip
    assert measure.measure(plans, tmp_path, tmp_path, minutes=1) == 2 + 4
    kills = figures.kills(shards.read(tmp_path))
    assert (kills["by_envelope"].certain, kills["by_outcome"].certain) == (True, False)


@pytest.mark.parametrize(("r", "plugins"), [(99.0, ["by_record"]), (9.0, ["by_record", ""])])
def test_fault_is_run_whole_only_where_the_record_does_not_catch_it(monkeypatch, r, plugins):
    asked = []

    def one(plan, *_):
        asked.append(plan.plugin)
        return Run(
            "fault", "x", "", claims={"sun_rises": "drifted"}, arms={"sun_rises": {"warm": r}}
        )

    monkeypatch.setattr(measure, "_one", one)
    assert measure.one(measure.Plan("fault", "x", "", ()), None) is not None
    assert asked == plugins


@pytest.mark.skipif(not measure.warm.possible(), reason="nothing can be forked here")
def test_forked_run_says_what_a_run_says():
    said = measure.warm.run(["--initcheck-fault", "no-such-fault"], threads=1, seconds=300)
    assert "--initcheck-fault: " in said


# --- innocent changes


def test_float64_computes_in_float64_and_is_undone():
    with INNOCENT["float64"].apply():
        assert recipes.DTYPES["float32"] == torch.float64
    assert recipes.DTYPES["float32"] == torch.float32


def test_threads_are_used_and_given_back():
    seen = []
    before = torch.get_num_threads()
    with INNOCENT["threads"].apply():
        part = slice(0, 1)
        training._run_all(lambda _: seen.append(torch.get_num_threads()), [part], 1)
        assert not ahead.possible()  # nothing is trained elsewhere, on one thread
    training._run_all(lambda _: seen.append(torch.get_num_threads()), [part], 1)
    assert seen == [2, 1]
    assert torch.get_num_threads() == before


def test_onednn_and_chunks_change_and_are_undone():
    with INNOCENT["no-onednn"].apply():
        assert not torch._C._get_mkldnn_enabled()
    assert torch._C._get_mkldnn_enabled()
    with INNOCENT["chunks-1"].apply():
        assert len(training.chunks(4, torch.nn.Linear(2, 2), "cpu")) == 4
    assert len(training.chunks(4, torch.nn.Linear(2, 2), "cpu")) == 1


# --- another machine's record


def folder_of_evidence(folder, losses, envelope=1e-6, **environment):
    """One claim whose two arms have these losses, as recorded on some machine."""
    whole = json.loads(evidence("sun_rises[always]", accuracy=comparison([0.9] * 64)))
    entry = whole["environments"][0]
    entry["environment"] |= environment
    reference = {"seeds": [1], "steps": [0, 1], "losses": [losses], "envelope": [envelope] * 2}
    entry["arms"] = {arm: {"seeds": [1], "reference": REFERENCE | reference}
                     for arm in ARMS.values()}  # fmt: skip
    folder.mkdir()
    (folder / "sun_rises[always].json").write_text(json.dumps(whole))
    return folder


@pytest.mark.parametrize(
    ("losses", "r"), [([1.0, 0.5], 0.0), ([1.0, 0.5 + 2e-6], 4.0), ([1.0, 1e300], BEYOND)]
)
def test_another_record_is_judged_by_our_envelopes(tmp_path, losses, r):
    here = folder_of_evidence(tmp_path / "here", [1.0, 0.5])
    there = folder_of_evidence(tmp_path / "there", losses, envelope=1.0, device="an old abacus")
    found = elsewhere.judged(there, here)
    assert (found.kind, found.name, found.machine) == (
        "elsewhere",
        "an-old-abacus",
        "an old abacus",
    )
    assert set(found.arms) == {"sun_rises[always]"}
    assert list(found.arms["sun_rises[always]"].values()) == pytest.approx([r, r], rel=1e-6)


def test_another_record_of_other_seeds_is_not_judged(tmp_path):
    here = folder_of_evidence(tmp_path / "here", [1.0, 0.5])
    there = folder_of_evidence(tmp_path / "there", [1.0, 0.5])
    path = next(there.glob("*.json"))
    path.write_text(path.read_text().replace('"seeds": [1], "steps"', '"seeds": [2], "steps"'))
    assert {*elsewhere.judged(there, here).arms["sun_rises[always]"].values()} == {None}


def test_folders_without_a_common_arm_are_refused(tmp_path):
    here = folder_of_evidence(tmp_path / "here", [1.0, 0.5])
    with pytest.raises(ValueError, match="no arm in common"):
        elsewhere.judged(tmp_path, here)


def test_page_names_the_farthest_of_another_record(baselines):
    arms = {"sun_rises": {"warm": 2.5, "cold": 0.0, "cloudy": None}}
    text = page.page([run("elsewhere", "an-old-abacus", arms=arms)], baselines)
    assert "2 arms were judged. 1 of them differ from ours at all, 1 by more than one" in text
    assert "| sun_rises | warm | 2.5 |" in text


# --- the page


def test_page_of_nothing_says_so(baselines):
    text = page.page([], baselines)
    assert "No run was measured yet." in text
    assert text.count("Not measured") == 4
    assert "Not run yet: `leaky_relu`." in text


def test_page_counts_and_names(baselines):
    runs = [
        run("clean", "suite", "s", claims={"sun_rises": "pass"}),
        run("clean", "suite", "t", claims={"sun_rises": "drifted"}),
        run("innocent", "threads", arms={"sun_rises": {"warm": 1.5}}),
        run("fault", "leaky_relu", "0", claims={"sun_rises": "refuted"},
            why={"sun_rises": "accuracy refuted: dark"},
            arms={"sun_rises": {"warm": 400.0, "cold": None}}),
        run("fault", "lr_halved", "0", claims={"sun_rises": "pass"}),
    ]  # fmt: skip
    text = page.page(runs, baselines)
    assert "| abc | 2.14.1 | an abacus | 5 | 2026-11-22 | 2026-11-22 |" in text
    assert "1 of 2 runs were not green: at most 97.5% of runs" in text
    assert "- seeds `t`: sun_rises drifted" in text
    assert "The largest of 1 is **1.50**: warm of sun_rises, threads." in text
    assert "1 of 2 faults that were run went red in every run, 0 in some, 1 in none." in text
    assert "| `leaky_relu` | 1/1 by the record | **sun_rises** 1/1 |" in text
    assert "| `lr_halved` | 0/1 (>= 0.000) |" in text
    assert "Survived every run: `lr_halved`." in text
    assert "- `leaky_relu`, sun_rises: accuracy refuted: dark" in text
    assert "| `leaky_relu` | 1 of 1 | 4.0e+02 | 4.0e+02 | 1 |" in text


def test_page_is_the_same_whatever_the_order_of_runs(baselines, tmp_path):
    runs = [run("fault", name, str(i)) for name in list(FAULTS)[:3] for i in range(2)]
    for each in runs:
        shards.store(tmp_path / "x", each)
    for each in reversed(runs):
        shards.store(tmp_path / "y", each)
    pages = {page.page(shards.read(tmp_path / f), baselines) for f in "xy"}
    assert len(pages) == 1


def test_page_shows_distributions(baselines):
    values = (0.8 + 0.02 * np.random.default_rng(0).normal(size=64)).tolist()
    (baselines / "evidence").mkdir()
    text = evidence("sun_rises", accuracy=comparison(values))
    (baselines / "evidence" / "sun_rises.json").write_text(text)
    text = page.page([], baselines)
    assert "| sun_rises | accuracy | warm | 64 |" in text
    assert "cold | 64" not in text
