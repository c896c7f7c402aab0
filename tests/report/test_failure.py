"""A failure message answers, in one screen, what failed, by how much, and what to do."""

from __future__ import annotations

import math

import pytest

from initcheck.report.failure import failure
from tests.helpers.results import (
    CONTRACT,
    SETTINGS,
    drift,
    drifted,
    gain,
    inconclusive,
    invalid,
    passing,
    probe,
    refuted,
    refuted_gain,
    result,
)

EVERY = [refuted(), refuted_gain(), drifted(), inconclusive(), invalid(), result("crashed")]


def flat(claim, **settings):
    return " ".join(failure(claim, SETTINGS | settings).split())


def test_a_refuted_claim_names_sides_limit_and_commands():
    text = flat(refuted(), contract=CONTRACT)
    assert text.startswith("REFUTED he_learns_on_cuda[cuda] measured (confirmed on fresh seeds)")
    assert "treated 1.1..2.3 nats (he), control 2.29..2.31 nats (randn), limit <= 1.2" in text
    assert "3 of 4 treated seeds (seeds 11, 12, 14) lie outside the limit." in text
    assert "why He keeps the second moment of activations" in text
    assert "was 0.61 +- 0.09 (N = 64, CPU float32, torch 2.14.1, 2026-11-22)" in text
    assert f"{CONTRACT}; a shift of 0.126 is seen in 95 % of runs" in text
    assert "reproduce pytest benchmarks -k he_learns_on_cuda --initcheck-device cuda if" in text
    assert "move [he_learns_on_cuda.training_loss] in baselines/limits.toml" in text
    assert text.endswith("--initcheck-record 'why it changed'")


@pytest.mark.parametrize(
    ("reason", "more", "words"),
    [
        ("3 of 4 treated seeds are outside the limit; he left its envelope",
         {"treated": [2.01, 2.3, 1.1, 2.2]}, "outside the limit"),
        ("1 of 4 control seeds are on the treated side, so the limit separates nothing; he left",
         {"control": [0.5, 2.3, 2.3, 2.3]}, "the treated side"),
        ("1 treated values are not finite, on seeds 11; he left",
         {"treated": [math.nan, 0.6, 0.6, 0.6]}, "not finite"),
    ],
)  # fmt: skip
def test_what_the_numbers_show_is_not_said_twice(reason, more, words):
    verdict = "refuted" if "outside" in reason else "invalid"
    text = flat(result("a", probe(verdict, reason=reason, **more)))
    assert text.count(words) == 1
    assert "He left" in text  # the rest of the reason stays


def test_a_reason_that_no_number_shows_is_kept():
    text = flat(result("a", probe("refuted", reason="9 of 16 treated seeds succeed, and 13 must")))
    assert "9 of 16 treated seeds succeed, and 13 must." in text


def test_deviations_name_the_scale_only_where_values_are_transformed():
    for name, words in (("log", " in log ("), ("identity", " ("), ("ranks", " (")):
        arm = drift("left", transform=name)
        text = flat(result("a", probe("drifted", drift={"treated": arm})))
        assert f"was 0.61 +- 0.09{words}N = 64" in text


def test_a_refuted_gain_says_on_how_many_seeds():
    text = flat(refuted_gain())
    assert "limit gain > 0.02" in text
    assert "The gain is excluded: the treated arm is above the control on 2 of 4 seeds" in text
    assert "p = 0.93" in text


def test_a_limit_that_is_exact_never_moves():
    text = flat(result("symmetry", probe("refuted", kind="exact")))
    assert "a limit of kind exact never moves" in text
    assert "--initcheck-record" not in text


def test_a_drift_names_step_layer_and_what_became_of_the_outcomes():
    text = flat(drifted())
    left = "left its rounding envelope (r = 531, 10 allowed), first at step 16, layer fc2"
    assert f"The treated arm {left}; outcomes moved by +2.1 s." in text
    assert "The control arm" not in text
    assert text.endswith("--initcheck-record 'why it changed'")
    assert "limits.toml" not in text


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"verdict": "left", "mean": 0.612}, "outcomes unmoved (+0.0 s)"),
        ({"verdict": "left", "mean": 0.9, "moved": False}, "outcomes unmoved (+3.2 s)"),
        ({"verdict": "left", "mean": None}, "outcomes were not compared"),
        ({"verdict": "moved", "mean": 0.8}, "no longer has its recorded distribution; outcomes mo"),
    ],
)
def test_a_drift_says_what_is_known_of_the_outcomes(more, sentence):
    arm = drift("left") | more
    assert sentence in flat(result("a", probe("drifted", drift={"control": arm})))


def test_a_drift_of_which_little_is_known_still_makes_a_message():
    text = flat(result("a", probe("drifted", drift={"treated": {"verdict": "left"}})))
    assert "left its rounding envelope (r = -, 10 allowed); outcomes were not compared." in text


def test_an_inconclusive_gain_offers_more_seeds():
    text = flat(inconclusive())
    assert text.startswith("INCONCLUSIVE hadamard_beats_random[cpu] measured measured")
    assert "neither shown nor excluded" in text
    assert text.endswith("--initcheck-seeds 8")


def test_an_invalid_claim_names_the_seeds_that_are_not_finite():
    text = flat(invalid())
    assert "2 of 4 treated seeds (seeds 12, 14) are not finite: 0.5..0.6, NaN, inf." in text
    assert "lie outside" not in text


def test_only_some_of_many_seeds_are_listed():
    many = probe("invalid", seeds=list(range(64)), treated=[math.nan] * 64)
    assert "64 of 64 treated seeds (seeds 0, 1, 2, 3, 4, 5, ...)" in flat(result("a", many))


def test_a_control_on_the_treated_side_is_named():
    text = flat(result("a", probe("invalid", control=[0.5, 2.3, 2.3, 2.3])))
    assert "1 of 4 control seeds (seed 11) lie inside the limit, on the treated side." in text


def test_a_missing_limit_says_where_to_write_it():
    text = flat(result("a", probe("invalid", limit={"min": None, "max": None})))
    assert "The probe has no limit." in text
    assert "write [a.training_loss] in baselines/limits.toml" in text


def test_evidence_is_not_blamed_for_what_is_no_number():
    lacking = {"treated": {"verdict": "no evidence"}}
    text = flat(result("a", probe("invalid", treated=[math.nan] * 4, drift=lacking)))
    assert "4 of 4 treated seeds (seeds 11, 12, 13, 14) are not finite" in text
    assert "evidence is required" not in text


@pytest.mark.parametrize(("left", "said"), [("left", False), ("moved", True)])
def test_only_what_fresh_seeds_said_too_is_confirmed(left, said):
    """The envelope is judged on seeds of its own, whether or not fresh ones were drawn."""
    moved = probe("drifted", stage=2, drift={"treated": drift(left)})
    assert ("(confirmed on fresh seeds)" in flat(result("a", moved))) == said


@pytest.mark.parametrize(
    ("verdict", "words"), [("no evidence", "no evidence"), ("stale", "only evidence that is stale")]
)
def test_missing_evidence_says_how_to_record_it(verdict, words):
    text = flat(result("a", probe("invalid", drift={"treated": {"verdict": verdict}})))
    assert f"The treated arm has {words}, and" in text
    assert "evidence is required." in text
    assert text.endswith("--initcheck-record 'why it changed'")


def test_a_crash_shows_its_end():
    text = failure(result("crashed", message="Traceback\nValueError: no such layer"), SETTINGS)
    assert "INVALID  crashed[cpu]" in text
    assert "ValueError: no such layer" in text


def test_each_probe_that_is_not_green_has_its_block():
    claim = result("a", probe(), probe("refuted"), gain("inconclusive"))
    text = failure(claim, SETTINGS)
    assert text.count("  measured   ") == 2
    assert text.count("  reproduce  ") == 1
    twice = failure(result("a", probe("drifted"), probe("drifted", case="b")), SETTINGS)
    assert twice.count("  if meant  ") == 1


def test_the_command_repeats_the_settings_that_are_not_usual():
    claim = refuted()
    text = flat(claim, seeds=64, scale="full", engine="module", data_root="/my data", salt=None)
    assert "--initcheck-seeds 64 --initcheck-scale full --initcheck-engine module" in text.replace(
        " \\", ""
    )
    assert "--initcheck-data-root '/my data'" in text
    assert "salt" not in text
    assert "--initcheck-baselines" not in text
    assert "--initcheck-baselines other" in flat(claim, baselines="other")


def test_the_command_names_the_test_and_all_that_was_given():
    claim = refuted() | {"node": "claims/test_he.py::test_he_learns_on_cuda"}
    given = {"baselines": "/old/baselines", "baselines_given": "/old/baselines"}
    text = flat(claim, init=["mine:a_", "mine:b_"], **given).replace(" \\", "")
    assert (
        "reproduce pytest claims/test_he.py::test_he_learns_on_cuda --initcheck-device cuda "
        "--initcheck-baselines /old/baselines --initcheck-init mine:a_ --initcheck-init mine:b_ if"
    ) in text
    assert text.endswith("--initcheck-baselines /old/baselines --initcheck-record 'why it changed'")
    assert "--initcheck-baselines" not in flat(claim, baselines="/used", baselines_given=None)


def test_a_claim_that_lacks_evidence_or_is_broken_on_purpose_is_red_again():
    """The command that reproduces demands and breaks what the run did; what records does not."""
    lacking = result("a", probe("invalid", drift={"treated": {"verdict": "no evidence"}}))
    text = flat(lacking, require_evidence=True, fault="leaky_relu").replace(" \\", "")
    command = "pytest benchmarks -k a --initcheck-device cpu"
    again = "--initcheck-require-evidence --initcheck-fault leaky_relu"
    assert f"reproduce {command} {again} if meant" in text
    assert text.endswith(f"if meant {command} --initcheck-record 'why it changed'")
    seeds = flat(inconclusive(), fault="leaky_relu").replace(" \\", "")
    assert seeds.endswith("--initcheck-seeds 8 --initcheck-fault leaky_relu")
    for asked in ({}, {"require_evidence": False, "fault": None}):
        plain = flat(lacking, **asked)
        assert "--initcheck-require-evidence" not in plain
        assert "--initcheck-fault" not in plain


def test_the_limits_to_move_are_those_in_use(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    near = flat(refuted(), baselines=str(tmp_path / "sub" / "baselines"))
    assert "move [he_learns_on_cuda.training_loss] in sub/baselines/limits.toml" in near
    far = flat(refuted(), baselines="/elsewhere/baselines")
    assert "move [he_learns_on_cuda.training_loss] in /elsewhere/baselines/limits.toml" in far


@pytest.mark.parametrize("claim", EVERY, ids=lambda claim: claim["claim"])
def test_every_message_fits_one_screen(claim):
    for red in claim["probes"]:
        red["why"] = "A reason that goes on, " * 9
    lines = failure(claim, SETTINGS | {"contract": CONTRACT, "data_root": "/data/" + "x" * 40})
    assert max(map(len, lines.splitlines())) < 100
    assert "\N{NO-BREAK SPACE}" not in lines
    assert len(lines.splitlines()) <= 24
    assert not any(line.endswith(" ") for line in lines.splitlines())


def test_a_crash_after_green_probes_shows_its_end_too():
    claim = passing() | {"verdict": "invalid", "message": "KeyError: fc9"}
    text = failure(claim, SETTINGS)
    assert "measured   2 probes, all green; then" in text
    assert "KeyError: fc9" in text
    assert "training_loss" not in text
