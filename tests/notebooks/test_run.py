"""Recorded figures, configurations, stored runs, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from initcheck.notebooks import __main__ as command
from initcheck.notebooks import run as runner
from initcheck.notebooks.figures import read_recorded, read_run, read_runs, write_run
from initcheck.notebooks.protocols import CONFIGURATIONS
from tests.helpers.notebooks import configuration, images, run_of, silent

ROOT = Path(__file__).parents[2]
RECORDED = read_recorded(ROOT / "baselines" / "recorded.csv")


# --- recorded.csv ---------------------------------------------------------------------------------


def test_recorded_curves_have_no_gaps():
    lengths = {}
    for row in RECORDED:
        if row.metric == "train_loss" and row.value is not None:
            lengths.setdefault(row.configuration, []).append(row.epoch)
    assert all(epochs == list(range(1, len(epochs) + 1)) for epochs in lengths.values())
    assert lengths["003-part1-baseline"][-1] == 20
    assert lengths["003-part1-dropout"][-1] == 26
    assert lengths["004-deep"][-1] == 15
    assert {len(lengths[f"003-{start}-sgd"]) for start in ("he", "xavier", "randn")} == {10}


def test_recorded_accuracies_are_shares():
    values = [r.value for r in RECORDED if r.metric.endswith("_accuracy") and r.value is not None]
    assert all(0 < value < 1 for value in values)


def test_every_recorded_figure_has_a_configuration_or_a_note():
    names = {name for c in CONFIGURATIONS for name in c.compared}
    assert all(r.configuration in names or r.note for r in RECORDED)


@pytest.mark.parametrize(
    ("text", "note", "half_a_digit"),
    [(".1849", "", 5e-5), ("-7.5209e-3", "", 5e-8), (".917", "read off, +-.002", 0.002)],
)
def test_resolution_is_half_the_last_digit_or_stated_in_the_note(
    tmp_path, text, note, half_a_digit
):
    path = tmp_path / "recorded.csv"
    path.write_text(f'notebook,configuration,metric,epoch,value,note\n0,c,m,1,{text},"{note}"\n')
    (row,) = read_recorded(path)
    assert row.resolution == pytest.approx(half_a_digit)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "must have the columns"),
        (
            "notebook,configuration,metric,epoch,value,note\n0,c,m,1,high,\n",
            "line 2: epoch or value",
        ),
    ],
)
def test_wrong_recorded_file_is_refused(tmp_path, text, message):
    path = tmp_path / "recorded.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_recorded(path)


# --- the table ------------------------------------------------------------------------------------


def test_configurations_have_distinct_names():
    names = [c.name for c in CONFIGURATIONS]
    assert len(names) == len(set(names))
    assert all(name.isascii() and " " not in name for name in names)


def test_protocols_have_distinct_descriptions():
    assert len({str(c.protocol) for c in CONFIGURATIONS}) == len(CONFIGURATIONS)


# --- runs and their files -------------------------------------------------------------------------


def test_stored_run_is_read_as_it_was(tmp_path):
    run = run_of("a", 3, train_loss={1: 0.1, 2: 1 / 3})
    assert read_run(write_run(tmp_path, run)) == run
    assert [path.name for path in tmp_path.iterdir()] == ["a.seed-3.json"]


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 1}', '{"schema": 2, "figures": {}}'])
def test_damaged_run_is_named(tmp_path, text):
    path = tmp_path / "a.seed-1.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"a\.seed-1\.json is not a stored run"):
        read_run(path)


def test_finished_run_is_skipped(tmp_path):
    wanted = configuration()
    assert [job.seed for job in runner.pending([wanted], 2, tmp_path)] == [1, 2]
    write_run(tmp_path, run_of(wanted.name, 1))
    assert [job.seed for job in runner.pending([wanted], 2, tmp_path)] == [2]


@pytest.mark.parametrize(
    "change", [{"epochs": 1}, {"protocol": "another"}], ids=["fewer epochs", "another protocol"]
)
def test_run_with_fewer_epochs_or_another_protocol_is_done_again(tmp_path, change):
    wanted = configuration()
    write_run(tmp_path, replace(run_of(wanted.name, 1), **change))
    assert len(list(runner.pending([wanted], 1, tmp_path))) == 1


def test_damaged_run_is_done_again(tmp_path):
    (tmp_path / "000-a.seed-1.json").write_text("{")
    assert len(list(runner.pending([configuration()], 1, tmp_path))) == 1


def test_run_of_the_first_epochs_is_finished_if_only_these_are_requested(tmp_path):
    wanted = configuration()
    write_run(tmp_path, run_of(wanted.name, 1, epochs=1))
    assert list(runner.pending([wanted], 1, tmp_path, epochs=1)) == []


def test_seed_1_of_every_configuration_comes_before_seed_2(tmp_path):
    jobs = runner.pending([configuration("000-a"), configuration("000-b")], 2, tmp_path)
    assert [job.name for job in jobs] == [
        "000-a.seed-1", "000-b.seed-1", "000-a.seed-2", "000-b.seed-2",
    ]  # fmt: skip


def test_long_configurations_must_be_named():
    table = (configuration("000-a"), configuration("000-b", long=True))
    assert [c.name for c in runner.chosen([], table)] == ["000-a"]
    assert [c.name for c in runner.chosen(["000-*"], table)] == ["000-a", "000-b"]
    with pytest.raises(ValueError, match="no configuration matches '001"):
        runner.chosen(["001-*"], table)


def test_no_run_starts_when_the_time_is_up(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(runner, "execute", lambda job, **_: started.append(job.seed))
    jobs = list(runner.pending([configuration()], 3, tmp_path))
    messages: list[str] = []
    options = {"folder": tmp_path, "root": None, "say": messages.append}
    assert runner.run_all(jobs, minutes=0, **options) == 0
    assert "run the command again to continue" in messages[0]
    assert runner.run_all(jobs, **options) == 3
    assert started == [1, 2, 3]


def test_executed_run_is_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(runner.datasets, "load", lambda name, root: images())
    job = runner.Job(configuration(), 1, 1)
    run = runner.execute(job, folder=tmp_path, root=None, say=silent)
    assert read_runs(tmp_path) == [run]
    assert list(run.figures.curve("train_loss")) == [1]


def test_shipped_runs_are_of_the_present_protocols():
    protocols = {c.name: str(c.protocol) for c in CONFIGURATIONS}
    paths = sorted((ROOT / "baselines" / "reproduced").glob("*.json"))
    assert paths
    for path in paths:
        run = json.loads(path.read_text())
        assert run["protocol"] == protocols[run["configuration"]], path.name


# --- the command ----------------------------------------------------------------------------------


def test_command_lists_configurations(capsys):
    assert command.main(["--list", "--only", "003-he-sgd"]) == 0
    assert capsys.readouterr().out.split()[0] == "003-he-sgd"


def test_command_refuses_an_unknown_configuration(capsys):
    assert command.main(["--only", "nothing"]) == 4
    assert "no configuration matches 'nothing'" in capsys.readouterr().err


def test_command_needs_data(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("INITCHECK_DATA_ROOT", raising=False)
    assert command.main(["--only", "003-he-sgd", "--baselines", str(tmp_path)]) == 4
    assert "--initcheck-data-root" in capsys.readouterr().err


def test_command_names_the_missing_table_of_recorded_figures(tmp_path, capsys):
    """A missing recorded.csv is a message, not a traceback."""
    assert command.main(["--report", "--baselines", str(tmp_path)]) == 4
    assert "recorded.csv" in capsys.readouterr().err


def test_command_explains_that_a_wheel_has_no_runs(tmp_path, capsys):
    (tmp_path / "recorded.csv").write_bytes((ROOT / "baselines" / "recorded.csv").read_bytes())
    assert command.main(["--report", "--baselines", str(tmp_path)]) == 4
    assert "not part of a wheel" in capsys.readouterr().err
