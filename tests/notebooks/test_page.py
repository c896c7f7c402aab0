"""Recorded figures are compared with ours, and REPRODUCTION.md shows the result."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from initcheck.notebooks import page
from initcheck.notebooks.compare import Reason, compare, read_reasons
from initcheck.notebooks.figures import (
    Recorded,
    by_configuration,
    read_recorded,
    write_run,
)
from initcheck.notebooks.protocols import CONFIGURATIONS
from tests.helpers.notebooks import configuration, recorded, run_of

ROOT = Path(__file__).parents[2]


# --- comparison -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "ours", "verdict"),
    [
        (0.50, (0.49, 0.50, 0.52), "as recorded"),
        (0.90, (0.49, 0.50, 0.52), "deviates"),
        (0.25, (0.49, 0.50, 0.52), "deviates"),
        (0.70, (0.50,), "not judged"),
        (0.70, (0.50, 0.51), "not judged"),
        (0.504, (0.50,), "as recorded"),
        (0.70, (), "not measured"),
    ],
)
def test_recorded_figure_is_judged_as_one_more_draw(value, ours, verdict):
    runs = [run_of("000-a", seed, train_loss={1: y}) for seed, y in enumerate(ours, 1)]
    runs = runs or [run_of("000-a", 1, test_loss={1: 1.0})]
    (comparison,) = compare([recorded(value)], by_configuration(runs), [configuration()])
    assert comparison.verdict == verdict


def test_epoch_that_our_runs_did_not_reach_has_its_own_verdict():
    runs = by_configuration([run_of("000-a", 1, epochs=2, train_loss={1: 0.5, 2: 0.4})])
    rows = [recorded(0.5, epoch=3), recorded(0.5, epoch=2, metric="test_loss")]
    comparisons = compare(rows, runs, [configuration()])
    assert [c.verdict for c in comparisons] == ["not reached", "not measured"]


def test_step_that_our_runs_took_is_reached():
    """Step 4 is reached in a run of one epoch."""
    runs = by_configuration([run_of("000-a", 1, epochs=1, layers_moved={4: 4.0})])
    (comparison,) = compare(
        [recorded(4.0, epoch=4, metric="layers_moved")], runs, [configuration()]
    )
    assert (comparison.reached, comparison.verdict) == (True, "as recorded")


def test_spread_is_shared_within_notebook_and_optimizer():
    runs = [run_of("000-b", seed, train_loss={1: y}) for seed, y in enumerate((0.4, 0.41, 0.42))]
    runs.append(run_of("000-a", 1, train_loss={1: 0.5}))
    table = [configuration("000-a"), configuration("000-b")]
    (comparison,) = compare([recorded(0.9)], by_configuration(runs), table)
    assert comparison.verdict == "deviates"


def test_fixed_configuration_is_compared_with_the_faulty_one():
    fixed = configuration("000-a-fixed", recorded_as=("000-a",))
    runs = by_configuration([run_of("000-a-fixed", 1, train_loss={1: 0.2})])
    (comparison,) = compare([recorded(0.5)], runs, [configuration(), fixed])
    assert (comparison.configuration, comparison.deviation) == ("000-a-fixed", pytest.approx(-0.3))


# --- the page -------------------------------------------------------------------------------------


REASON = Reason(
    title="A wrong sign",
    why="The sign is wrong.",
    configurations=("000-a",),
    proof=("000-a", "000-a-fixed"),
    proof_metrics=("train_loss",),
)


def material(**options: object) -> page.Material:
    runs = [run_of("000-a", seed, train_loss={1: y}) for seed, y in enumerate((0.49, 0.5, 0.52), 1)]
    rows = [recorded(0.9), Recorded("000", "000-other", "none", 0, None, "no output")]
    table = (configuration(), configuration("000-a-fixed", recorded_as=("000-a",)))
    return page.Material(rows, by_configuration(runs), table, **{"absent": {}} | options)


def test_page_shows_data_seeds_both_figures_and_the_verdict():
    assert (
        "| 000-a | train_loss | 1 | MNIST | 0.9 | 0.5033 (3 seeds) [0.49, 0.52] | -0.4 | deviates |"
        in page.page(material()).splitlines()
    )


def test_page_shows_the_reason_with_its_proof():
    text = page.page(material(reasons=[REASON]))
    assert "### A wrong sign\n\nThe sign is wrong.\n\nFigures: 1 deviates." in text
    assert "| 000-a | train_loss | 1 | MNIST | 0.9 | 0.5033 (3 seeds) [0.49, 0.52] |" in text
    assert "| 000-a-fixed | train_loss | 1 |  | 0.9 | not run |" in text
    assert "### Not explained" not in text


def test_page_lists_deviations_without_a_reason():
    about_others = replace(REASON, configurations=("001-*",))
    text = page.page(material(reasons=[about_others]))
    assert "### Not explained" in text
    assert "A wrong sign" not in text


def test_page_states_what_was_not_run_and_why():
    text = page.page(material(absent={"000-a-f*": "takes hours"}))
    assert "| 000-a-fixed | 1 | takes hours |" in text
    assert "| 000-other | 0 | no output |" in text


def test_page_does_not_depend_on_the_order_of_runs():
    first = material()
    reordered = {name: runs[::-1] for name, runs in reversed(first.runs.items())}
    assert page.page(first) == page.page(replace(first, runs=reordered))


def test_page_is_written_from_the_files(tmp_path):
    (tmp_path / "recorded.csv").write_text((ROOT / "baselines" / "recorded.csv").read_text())
    (tmp_path / "reasons.toml").write_text('[[absent]]\nconfigurations = "000-*"\nwhy = "later"\n')
    chosen = next(c for c in CONFIGURATIONS if c.name == "003-he-sgd")
    run = replace(
        run_of(chosen.name, 1, train_loss={1: 0.84}), protocol=str(chosen.protocol)
    )  # fmt: skip
    write_run(tmp_path / "reproduced", run)
    stale = replace(run_of("003-xavier-sgd", 1, train_loss={1: 7.0}), protocol="older")
    write_run(tmp_path / "reproduced", stale)
    first = page.write(tmp_path).read_text()
    assert page.write(tmp_path).read_text() == first
    assert "| 003-he-sgd | train_loss | 1 | MNIST | 0.814 | 0.84 (1 seed)" in first
    assert "| 000-mnist-softmax | 2 | later |" in first
    assert "7 (1 seed)" not in first


def test_reason_with_a_wrong_key_is_refused(tmp_path):
    path = tmp_path / "reasons.toml"
    path.write_text('[[reason]]\nbecause = "of this"\n')
    with pytest.raises(ValueError, match=r"reasons\.toml.*because"):
        read_reasons(path)


def test_shipped_reasons_name_configurations_that_exist():
    reasons, absent = read_reasons(ROOT / "baselines" / "reasons.toml")
    names = {c.name for c in CONFIGURATIONS}
    assert all(set(reason.proof) <= names for reason in reasons)
    recorded_rows = read_recorded(ROOT / "baselines" / "recorded.csv")
    known = names | {row.configuration for row in recorded_rows}
    patterns = [*absent, *(p for reason in reasons for p in reason.configurations)]
    assert all(any(fnmatchcase(name, p) for name in known) for p in patterns)
