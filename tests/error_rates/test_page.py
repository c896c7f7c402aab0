"""OPERATING.md: its rates are compared with scipy and with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta

from initcheck.baselines.evidence import read_evidence
from initcheck.baselines.folder import Baselines
from initcheck.baselines.limits import LimitEntry
from initcheck.error_rates import page, rates
from initcheck.error_rates import runs as stored
from initcheck.faults import FAULTS
from initcheck.stats import decisions, distributions
from tests.helpers.error_rates import LIMITS, baselines_in, run
from tests.helpers.evidence import comparison, evidence

ROOT = Path(__file__).parents[2]


@pytest.fixture
def baselines(tmp_path):
    return baselines_in(tmp_path)


# --- rates ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hits", "runs"), [(20, 20), (59, 59), (0, 7), (3, 11)])
def test_bounds_are_those_of_clopper_and_pearson(hits, runs):
    low = beta.ppf(0.05, hits, runs - hits + 1) if hits else 0.0
    high = beta.ppf(0.95, hits + 1, runs - hits) if hits < runs else 1.0
    assert rates.lower_bound(hits, runs) == pytest.approx(low)
    assert rates.upper_bound(hits, runs) == pytest.approx(high)


def test_bounds_of_the_two_numbers_of_runs():
    """20 of 20 show a power of 0.86, 59 of 59 one of 0.95; 299 clean runs exclude 1 %."""
    assert rates.lower_bound(20, 20) == pytest.approx(0.861, abs=5e-4)
    assert rates.lower_bound(59, 59) == pytest.approx(0.950, abs=5e-4)
    assert rates.upper_bound(0, 299) <= 0.01 < rates.upper_bound(0, 298)
    assert (rates.lower_bound(0, 0), rates.upper_bound(0, 0)) == (0.0, 1.0)


@pytest.mark.parametrize(("red", "runs", "more"), [(0, 0, 299), (0, 290, 9), (0, 300, 0)])
def test_runs_that_are_missing_are_counted(red, runs, more):
    assert rates.more_runs(red, runs) == more


def test_red_runs_need_many_more_green_ones():
    more = rates.more_runs(3, 10)
    assert rates.upper_bound(3, 10 + more) <= rates.BOUND < rates.upper_bound(3, 10 + more - 1)


def test_largest_r_is_that_of_all_arms_and_changes():
    runs = [
        run("innocent", "threads", arms={"a": {"x": 1.5, "y": None}}),
        run("innocent", "module", arms={"a": {"x": 0.5}, "b": {"z": 2.5}}),
    ]
    table = rates.envelopes(runs)
    assert table["a", "x"] == {"threads": 1.5, "module": 0.5}
    assert rates.largest(table) == (2.5, ("b", "z"), "module")
    assert rates.largest({}) is None


def test_kill_matrix_counts_runs_claim_by_claim():
    runs = [
        run("fault", "leaky_relu", "0", claims={"a": "drifted", "b": "pass"}),
        run("fault", "leaky_relu", "1", claims={"a": "pass", "b": "pass"}),
    ]
    kills = rates.kills(runs)["leaky_relu"]
    assert (kills.caught, kills.runs) == (1, 2)
    assert kills.by_claim == {"a": (1, 2), "b": (0, 2)}


def test_kill_matrix_tells_limits_from_records():
    """A run in which a limit and a record caught the fault counts for the limit."""
    parts = [
        {"a[x]": "refuted", "a[y]": "drifted"}, {"a[x]": "drifted", "a[y]": "pass"},
        {"a[x]": "invalid", "a[y]": "pass"}, {"a[x]": "pass", "a[y]": "pass"},
    ]  # fmt: skip
    runs = [
        run("fault", "leaky_relu", str(i), verdicts=verdicts,
            claims={"a": "pass" if i == 3 else "drifted"})
        for i, verdicts in enumerate(parts)
    ]  # fmt: skip
    kills = rates.kills(runs)["leaky_relu"]
    assert (kills.runs, kills.caught, kills.by_limit, kills.by_record) == (4, 3, 1, 1)
    assert kills.parts == {"a": {"refuted": 1, "drifted": 2, "invalid": 1, "pass": 4}}


def sample(values, delta=0.0, name="identity"):
    return rates.Sample("a", "p", "arm", distributions.Scale(name, values, delta))


def test_split_recordings_of_a_normal_law_keep_their_rate():
    test = rates.sensitivity(sample(np.random.default_rng(3).normal(size=64)), 3, 16)
    assert test.alarms == test.alarms_without_delta
    assert test.alarms_without_delta / rates.SPLITS <= test.nominal


@pytest.mark.parametrize("name", ["identity", "ranks"])
def test_split_recordings_with_rare_jumps_keep_their_rate(name):
    """With 4 of 64 values far away, a test of means alone alarms at twice its rate."""
    test = rates.sensitivity(sample(np.r_[np.zeros(60), np.full(4, 50.0)], name=name), 33, 16)
    assert test.alarms / rates.SPLITS <= test.nominal


def test_difference_below_the_tolerance_is_no_alarm():
    y = np.r_[np.zeros(40), np.ones(24)]
    test = rates.sensitivity(sample(y, 1e3, "ranks"), 1, 16)
    assert test.alarms == 0 < test.alarms_without_delta


def test_samples_are_recorded_values_on_the_scale_of_their_unit():
    rng = np.random.default_rng(4)
    treated, control = (list(rng.lognormal(m, 0.7, 64)) for m in (0, 2))
    record = {"claim": "a_claim[x]", "environments": [{"comparisons": {
        "loss (case)": {"treated_arm": "T", "control_arm": "C", "treated": treated,
                        "control": control},
        "learned": {"treated_arm": "T", "control_arm": "C", "treated": [1.0] * 64,
                    "control": [0.0] * 63 + [1.0]},
    }}]}  # fmt: skip
    limit = LimitEntry("a_claim", "loss", unit="nats", kind="measured", why="", fault="")
    samples = list(rates.samples([record], {"a_claim": {"loss": limit}}))
    assert [(s.claim, s.probe, s.arm, s.scale.name) for s in samples] == [
        ("a_claim[x]", "loss (case)", "T", "log"), ("a_claim[x]", "loss (case)", "C", "log"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("r", "words"), [(None, "-"), (0.51, "0.51"), (12345.0, "1.2e+04"), (1e30, "inf")]
)
def test_r_is_written_in_few_digits(r, words):
    assert rates.rounded(r) == words


MARGIN = LimitEntry("sun_rises", "light", "lux", "measured", "a reason", "leaky_relu", margin=0.0)


def recorded(treated, form="gains"):
    compared = {"form": form, "treated": treated, "control": [0.0] * len(treated)}
    return {"claim": "sun_rises", "environments": [{"comparisons": {"light": compared}}]}


@pytest.mark.parametrize(
    ("behind", "least", "most"), [(0, 0.0, 0.0), (1, 0.0, 0.001), (8, 0.15, 0.6), (20, 0.9, 1.0)]
)
def test_gain_is_missed_more_often_the_more_pairs_are_behind(behind, least, most):
    """Of 64 pairs, some are behind by about as much as the others are ahead."""
    ahead = np.random.default_rng(0).uniform(0.5, 1.5, 64)
    ahead[:behind] *= -1
    (gain,) = rates.gains([recorded(ahead.tolist())], {"sun_rises": {"light": MARGIN}}, 16)
    assert gain.behind == behind
    assert least <= gain.missed <= most
    assert gain.alarms == gain.missed**2


def test_limit_with_a_margin_is_no_gain_unless_it_was_recorded_as_one():
    held = recorded([1.0] * 64, form="holds")
    assert rates.gains([held], {"sun_rises": {"light": MARGIN}}, 16) == []


def test_shipped_gains_are_rarely_missed():
    """With nothing changed, all of them together are red in at most half a percent of runs."""
    known = Baselines(ROOT / "baselines")
    evidence = [read_evidence(path) for path in known.files()]
    gains = rates.gains(evidence, known.limits, 16)
    assert len(gains) > 10
    assert sum(gain.alarms for gain in gains) <= 0.005
    assert max(gain.alarms for gain in gains) <= decisions.GAIN_MISSED


# --- the page -------------------------------------------------------------------------------------


def test_page_without_runs_says_so(baselines):
    text = page.page([], baselines)
    assert "No run was measured yet." in text
    assert text.count("Not measured") == 5
    assert "- Whole runs as users make them were not measured yet." in text
    assert "- Runs of seeded faults by the unchanged gate were not measured yet." in text
    assert "- not run yet: `leaky_relu`\n" in text


WAY = {
    "processes": "-n 2", "order": "random", "cores": "all", "engine": "ensemble",
    "called": "in the checkout", "caches": "cold",
}  # fmt: skip


def test_page_counts_whole_runs_by_their_way(baselines):
    common = {"way": WAY, "number": 7}
    runs = [
        run("clean", "suite", "s", exit=0, interruptions=2, arms={"sun_rises": {"warm": 3.25}},
            **common),
        run("clean", "suite", "t", exit=1, claims={"sun_rises": "drifted"},
            why={"sun_rises": "light drifted: r = 11"}, **common),
        run("clean", "suite", "u", exit=0, **common | {"way": WAY | {"processes": "one"}}),
    ]  # fmt: skip
    text = page.page(runs, baselines)
    assert "- 2 of 3 whole runs, as users make them, were green: at most 86.5% of runs" in text
    assert "1 of 3 runs were not green: at most 86.5% of runs, with 95 % confidence" in text
    assert "470 more green runs would bound the rate by 1%." in text
    assert "| processes | one | 60% | 1 | 1 | 95.0% |" in text
    assert "| processes | -n 2 | 40% | 2 | 1 | 97.5% |" in text
    assert "| engine | module | 25% | 0 | 0 | - |" in text
    assert "The largest r of all arms in these runs is **3.2**, where 10 is the limit" in text
    assert "2 times a run was interrupted from outside. It was repeated, not counted." in text
    assert (
        "- `pytest benchmarks -n 2 -p initcheck.error_rates.shuffled --shuffle-seed 7 "
        "--initcheck-salt t` (-n 2, random, all, ensemble, in the checkout, cold) ended with 1:\n"
        "  - sun_rises drifted: light drifted: r = 11\n"
    ) in text
    assert "not counted: they were interrupted" not in text


def test_page_says_how_many_runs_it_does_not_count(baselines):
    text = page.page([], baselines, {"clean": 4})
    assert "4 whole runs and 0 runs of faults are stored and not counted" in text


def test_page_names_claims_and_faults(baselines):
    runs = [
        run("innocent", "threads", arms={"sun_rises": {"warm": 1.5}},
            losses={"sun_rises": {"warm": 0.5}}, again={"sun_rises": "abd"}),
        run("innocent", "module", arms={"sun_rises": {"warm": 0.25}}),
        run("fault", "leaky_relu", "0", exit=1, claims={"sun_rises": "refuted"},
            verdicts={"sun_rises": "refuted"}, why={"sun_rises": "accuracy refuted: dark"},
            arms={"sun_rises": {"warm": 400.0, "cold": None}},
            losses={"sun_rises": {"warm": 3.0, "cold": None}}),
        run("fault", "lr_halved", "0", exit=1, claims={"sun_rises": "pass"},
            verdicts={"sun_rises": "pass"}),
    ]  # fmt: skip
    text = page.page(runs, baselines)
    assert "| abc | 2.14.1 | an abacus | 4 | 2026-11-22 | 2026-11-22 |" in text
    assert "- 1 of 2 seeded faults were caught in each of their runs, 2 in all, by the" in text
    assert "run again on the same seeds, at abd: sun_rises." in text
    assert "The largest r is **1.50**: warm of sun_rises, under `threads`." in text
    assert "- `threads`: two arithmetic threads; an abacus" in text
    assert "1 of 2 faults that were run went red in every run, 0 in some, 1 in none." in text
    assert "| `leaky_relu` | 1/1 | 1/1 (>= 0.050) | 0 | **sun_rises** 1/1 |" in text
    assert "| `lr_halved` | 0/1 | 0/1 (>= 0.000) | 0 |" in text
    assert "- that no run caught: `lr_halved`\n" in text
    assert "- bound to a claim that stayed green in a run: none\n" in text
    assert "- `leaky_relu`, sun_rises: accuracy refuted: dark" in text
    assert "| `leaky_relu` | 1 of 1 | 4.0e+02 | 0 of 1 | 3 | 4.0e+02 | 1 |" in text
    assert "| `threads` | 1 | 1.5 | sun_rises: warm | 0.5 |" in text
    assert "| `module` | 1 | 0.25 | sun_rises: warm | - |" in text


def test_page_says_what_refuted_each_claim(tmp_path):
    theorem = LIMITS.replace("measured", "theorem").replace("sun_rises", "moon_{}")
    (tmp_path / "limits.toml").write_text(LIMITS + "".join(map(theorem.format, "abc")))
    runs = [
        run("fault", "leaky_relu", "0", claims={"sun_rises": "refuted", "moon_a": "refuted",
            "moon_b": "drifted"}, verdicts={"sun_rises[x]": "refuted", "sun_rises[y]": "drifted",
            "moon_a": "refuted", "moon_b": "drifted"}),
        run("fault", "lr_halved", "0", claims={"moon_a": "drifted"},
            verdicts={"moon_a": "drifted"}),
    ]  # fmt: skip
    text = page.page(runs, tmp_path)
    assert "| sun_rises | measured | `leaky_relu` (1 of 2) |  |" in text
    assert "| moon_a | theorem | `leaky_relu` | `lr_halved` |" in text
    assert "| moon_b | theorem |  | `leaky_relu` |" in text
    assert "| moon_c |" not in text
    assert "that no fault refuted by their limit: `moon_b`\n" in text


def test_page_does_not_depend_on_the_order_of_runs(baselines, tmp_path):
    runs = [run("fault", name, str(i)) for name in list(FAULTS)[:3] for i in range(2)]
    for each in runs:
        stored.store(tmp_path / "x", each)
    for each in reversed(runs):
        stored.store(tmp_path / "y", each)
    pages = {page.page(stored.read(tmp_path / f), baselines) for f in "xy"}
    assert len(pages) == 1


def test_page_shows_distributions(baselines):
    values = (0.8 + 0.02 * np.random.default_rng(0).normal(size=64)).tolist()
    (baselines / "evidence").mkdir()
    text = evidence("sun_rises", accuracy=comparison(values))
    (baselines / "evidence" / "sun_rises.json").write_text(text)
    text = page.page([], baselines)
    assert "| sun_rises | accuracy | warm | 64 |" in text
    assert "cold | 64" not in text


def test_bound_claim_that_stayed_green_is_named(baselines):
    runs = [run("fault", "leaky_relu", "0", claims={"sun_rises": "pass", "other": "refuted"})]
    text = page.page(runs, baselines)
    assert "- bound to a claim that stayed green in a run: leaky_relu for sun_rises\n" in text
