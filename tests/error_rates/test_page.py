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
from tests.helpers.error_rates import baselines_in, run
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
    assert "- not run yet: `leaky_relu`\n" in text


def test_page_counts_runs_and_names_claims_and_faults(baselines):
    runs = [
        run("clean", "suite", "s", claims={"sun_rises": "pass"}),
        run("clean", "suite", "t", claims={"sun_rises": "drifted"}, again={"sun_rises": "abd"}),
        run("innocent", "threads", arms={"sun_rises": {"warm": 1.5}}),
        run("fault", "leaky_relu", "0", claims={"sun_rises": "refuted"},
            why={"sun_rises": "accuracy refuted: dark"},
            arms={"sun_rises": {"warm": 400.0, "cold": None}}),
        run("fault", "lr_halved", "0", claims={"sun_rises": "pass"}, again={"sun_rises": "abe"}),
    ]  # fmt: skip
    text = page.page(runs, baselines)
    assert "| abc | 2.14.1 | an abacus | 5 | 2026-11-22 | 2026-11-22 |" in text
    assert "1 of 2 runs were not green: at most 97.5% of runs" in text
    assert "471 more green runs would bound the rate by 1%." in text
    assert "- seeds `t`: sun_rises drifted" in text
    assert "The rounding envelope was switched off in these runs" in text
    for commit in ("abd", "abe"):  # a clean run, a run of a fault
        assert f"run again on the same seeds, at {commit}: sun_rises." in text
    assert "The largest r is **1.50**: warm of sun_rises, under `threads`." in text
    assert "- `threads`: two arithmetic threads; an abacus" in text
    assert "1 of 2 faults that were run went red in every run, 0 in some, 1 in none." in text
    assert "| `leaky_relu` | 1/1 by the record | **sun_rises** 1/1 |" in text
    assert "| `lr_halved` | 0/1 (>= 0.000) |" in text
    assert "- that no run caught: `lr_halved`\n" in text
    assert "- bound to a claim that stayed green in a run: none\n" in text
    assert "- `leaky_relu`, sun_rises: accuracy refuted: dark" in text
    assert "| `leaky_relu` | 1 of 1 | 4.0e+02 | 4.0e+02 | 1 |" in text


def test_runs_of_a_removed_fault_are_named_and_not_counted(baselines):
    """A fault may be renamed or dropped after it was run."""
    runs = [
        run("fault", name, "0", claims={"sun_rises": "refuted"}, arms={"sun_rises": {"warm": 4e2}})
        for name in ("leaky_relu", "leaking_relu")
    ]
    text = page.page(runs, baselines)
    assert "1 of 1 faults that were run went red in every run" in text
    assert "- left out because no fault has their name any more: `leaking_relu`\n" in text
    assert text.count("leaking_relu") == 1
    assert "left out" not in page.page(runs[:1], baselines)


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
