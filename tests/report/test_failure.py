"""A failure message answers, in one screen, what failed, by how much, and what to do."""

from __future__ import annotations

from dataclasses import replace

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
    return " ".join(failure(claim, replace(SETTINGS, **settings)).split())


def test_a_refuted_claim_names_sides_limit_and_commands():
    text = flat(refuted(), contract=CONTRACT)
    assert text.startswith("REFUTED he_learns_on_cuda[cuda] measured (confirmed on fresh seeds)")
    assert "treated 1.1..2.3 nats (he), control 2.29..2.31 nats (randn), limit <= 1.2" in text
    assert "because 3 of 4 treated seeds (seeds 11, 12, 14) are outside the limit. why" in text
    assert "why He keeps the second moment of activations" in text
    assert "was 0.61 +- 0.09 nats (N = 64, CPU float32, torch 2.14.1, 2026-11-22)" in text
    assert "2026-11-22); a shift of 0.126 is detected in 95 % of runs" in text
    assert f"gate {CONTRACT} reproduce" in text
    assert "reproduce pytest benchmarks/test_examples.py::test_he_learns_on_cuda" in text
    assert "move [he_learns_on_cuda.training_loss] in baselines/limits.toml" in text
    assert text.endswith("--initcheck-record 'why it changed'")


def test_the_reason_is_given_as_the_gate_worded_it_and_nothing_is_added():
    """Even if the numbers show more: the gate has named it already."""
    wrong = {"treated": [2.01, 2.3, 1.1, 2.2], "control": [0.5, 2.3, 2.3, 2.3]}
    reason = "3 of 4 treated seeds (seeds 11, 12, 14) are outside the limit; the treated arm left"
    text = flat(result("a", probe("refuted", reason=reason, **wrong)))
    assert f"because {reason}. why" in text
    assert text.count("outside the limit") == text.count("the treated arm left") == 1
    assert "because" not in flat(result("a", probe("refuted")))


def test_deviations_name_the_scale_only_where_values_are_transformed():
    for name, words in (
        ("log", " on the log scale ("),
        ("identity", " nats ("),
        ("ranks", " nats ("),
    ):
        arm = drift("left", transform=name)
        text = flat(result("a", probe("drifted", drift={"treated": arm})))
        assert f"was 0.61 +- 0.09{words}N = 64" in text


def test_a_limit_that_is_exact_never_moves():
    text = flat(result("symmetry", probe("refuted", kind="exact")))
    assert "a limit of kind exact never moves" in text
    assert "--initcheck-record" not in text


def test_a_drift_is_recorded_and_moves_no_limit():
    text = flat(drifted())
    left = "left its rounding envelope at step 16, first in fc2 (r = 531, 10 allowed)"
    assert (
        f"because The treated arm {left}; outcomes moved by +2.1 standard deviations. why" in text
    )
    assert text.endswith("--initcheck-record 'why it changed'")
    assert "limits.toml" not in text


def test_an_inconclusive_gain_offers_more_seeds():
    text = flat(inconclusive())
    assert text.startswith("INCONCLUSIVE hadamard_beats_random[cpu] measured measured")
    assert "neither shown nor excluded" in text
    assert text.endswith("--initcheck-seeds 8")


def test_a_missing_limit_says_where_to_write_it():
    text = flat(result("a", probe("invalid", limit={"min": None, "max": None})))
    assert "write [a.training_loss] in baselines/limits.toml" in text


@pytest.mark.parametrize(("left", "said"), [("left", False), ("moved", True)])
def test_only_what_fresh_seeds_said_too_is_confirmed(left, said):
    """The envelope is judged on separate seeds, whether or not fresh ones were drawn."""
    moved = probe("drifted", stage=2, drift={"treated": drift(left)})
    assert ("(confirmed on fresh seeds)" in flat(result("a", moved))) == said


@pytest.mark.parametrize("verdict", ["no evidence", "stale"])
def test_missing_evidence_says_how_to_record_it(verdict):
    text = flat(result("a", probe("invalid", drift={"treated": drift(verdict)})))
    assert f"evidence treated: {verdict}" in text
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
    assert text.count("  gate  ") == 1
    twice = failure(result("a", probe("drifted"), probe("drifted", case="b")), SETTINGS)
    assert twice.count("  if meant  ") == 1


def test_what_to_do_next_is_said_once():
    """However many comparisons failed: the limits in one line, then one command."""
    claim = result(
        "a", probe("refuted"), gain("refuted"), probe("drifted", probe="rank"), probe("drifted")
    )
    text = flat(claim)
    assert "move [a.training_loss] and [a.test_accuracy] in baselines/limits.toml, each" in text
    assert text.count("if meant") == text.count("--initcheck-record") == 1
    exact = result("a", probe("refuted", kind="exact"), probe("drifted", probe="rank"))
    assert "--initcheck-record" not in flat(exact)


def test_the_command_has_the_parameters_of_the_claim():
    claim = result("trains", probe("drifted"), parameters="Lstm")
    test = "'benchmarks/test_examples.py::test_trains[Lstm-cpu]'"
    assert flat(claim).count(f"pytest {test} --initcheck-device cpu") == 2
    early = replace(result("trains", message="fixture 'x' not found"), device="none")
    assert "reproduce pytest" in flat(early)
    assert "none" not in flat(early)
    plain = flat(result("trains", probe("drifted")))
    assert "pytest benchmarks/test_examples.py::test_trains --initcheck-device cpu" in plain


def test_the_command_repeats_the_settings_that_are_not_usual():
    claim = refuted()
    text = flat(claim, seeds=64, scale="full", engine="module", data_root="/my data", salt=None)
    assert "--initcheck-seeds 64 --initcheck-scale full --initcheck-engine module" in text.replace(
        " \\", ""
    )
    assert "--initcheck-data-root '/my data'" in text
    assert "salt" not in text
    assert "--initcheck-baselines" not in text
    assert "--initcheck-baselines other" in flat(claim, baselines_given="other")


def test_the_command_names_the_test_and_all_that_was_given():
    claim = replace(refuted(), node="claims/test_he.py::test_he_learns_on_cuda")
    given = {"baselines": "/old/baselines", "baselines_given": "/old/baselines"}
    text = flat(claim, **given).replace(" \\", "")
    command = (
        "pytest claims/test_he.py::test_he_learns_on_cuda --initcheck-device cuda "
        "--initcheck-baselines /old/baselines"
    )
    assert f"reproduce {command} if meant" in text
    assert text.endswith(f"{command} --initcheck-record 'why it changed'")
    assert "--initcheck-baselines" not in flat(claim, baselines="/used", baselines_given=None)


@pytest.mark.parametrize("claim", [refuted(), drifted(), invalid(), inconclusive()])
def test_a_custom_initializer_is_not_recorded_and_moves_no_limit(claim):
    """--initcheck-init refuses to record, and the limits are those of the packaged initializers."""
    text = flat(claim, init=["mine:a_", "mine:b_"]).replace(" \\", "")
    assert "--initcheck-init mine:a_ --initcheck-init mine:b_" in text
    for command in ("--initcheck-record", "limits.toml", "if meant"):
        assert command not in text
    assert ("if meant" in flat(claim)) == (claim.verdict in ("refuted", "drifted"))
    more = claim.verdict == "inconclusive"
    assert ("more seeds pytest" in text) == more
    assert ("next change the initializer" in text) != more


def test_a_claim_that_lacks_evidence_or_is_broken_on_purpose_is_red_again():
    """The command that reproduces demands and breaks what the run did. A fault is not recorded."""
    lacking = result("a", probe("invalid", drift={"treated": drift("no evidence")}))
    text = flat(lacking, require_evidence=True, fault="leaky_relu").replace(" \\", "")
    command = "pytest benchmarks/test_examples.py::test_a --initcheck-device cpu"
    again = "--initcheck-require-evidence --initcheck-fault leaky_relu"
    assert text.endswith(f"reproduce {command} {again}")
    sound = flat(lacking, require_evidence=True).replace(" \\", "")
    assert sound.endswith(f"if meant {command} --initcheck-record 'why it changed'")
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


@pytest.mark.parametrize("claim", EVERY, ids=lambda claim: claim.claim)
def test_every_message_fits_one_screen(claim):
    long = [replace(red, why="A reason that goes on, " * 9) for red in claim.probes]
    settings = replace(SETTINGS, contract=CONTRACT, data_root="/data/" + "x" * 40)
    lines = failure(replace(claim, probes=long), settings)
    assert max(map(len, lines.splitlines())) < 100
    assert "\N{NO-BREAK SPACE}" not in lines
    assert len(lines.splitlines()) <= 24
    assert not any(line.endswith(" ") for line in lines.splitlines())


def test_a_crash_after_green_probes_shows_its_end_too():
    claim = replace(passing(), verdict="invalid", message="KeyError: fc9")
    text = failure(claim, SETTINGS)
    assert "measured   2 comparisons, all green; then" in text
    assert "KeyError: fc9" in text
    assert "training_loss" not in text


def test_a_path_is_not_broken_at_its_hyphens():
    path = "/a-folder/" + "with-a-long-name/" * 4 + "file-1"
    reason = f"The files are missing, in particular the one that is called {path}."
    text = failure(result("a", probe("invalid", reason=reason)), SETTINGS)
    assert path in text
