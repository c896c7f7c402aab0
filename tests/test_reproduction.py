"""The notebooks' protocols: files of figures, runs that resume, the page, and the hand-written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.datasets import DataSet
from initcheck.initializers import torch_default, zeros
from initcheck.networks import mlp
from initcheck.recipes import SGD, Adam
from initcheck.reproduction import __main__ as command
from initcheck.reproduction import handwritten, report, runner
from initcheck.reproduction.compare import compare
from initcheck.reproduction.figures import (
    Figures,
    Recorded,
    Run,
    by_configuration,
    read_recorded,
    read_run,
    read_runs,
    write_run,
)
from initcheck.reproduction.handwritten import Handwritten
from initcheck.reproduction.library import Library
from initcheck.reproduction.table import CONFIGURATIONS, Configuration

ROOT = Path(__file__).parents[1]
RECORDED = read_recorded(ROOT / "baselines" / "recorded.csv")
SMALL = Handwritten("he", "sgd", lr=0.1, batch=10, epochs=2, momentum=0.9, faults=())


def images(count: int = 60, classes: int = 10, side: int = 28) -> DataSet:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(2 * count, 1, side, side, generator=generator)
    targets = torch.randint(classes, (2 * count,), generator=generator)
    parts = (inputs[:count], targets[:count], inputs[count:], targets[count:])
    return DataSet("fake", *parts, classes, "0" * 16)


def run_of(name: str, seed: int, epochs: int = 2, **curves: dict[int, float]) -> Run:
    return Run(name, seed, epochs, str(SMALL), "mnist", "0" * 16, "2.0", 1.0, Figures(curves))


def silent(_: str) -> None:
    pass


# --- recorded.csv ---------------------------------------------------------------------------------


def test_recorded_curves_are_whole():
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
def test_resolution_is_half_the_last_digit_or_what_is_said(tmp_path, text, note, half_a_digit):
    path = tmp_path / "recorded.csv"
    path.write_text(f'notebook,configuration,metric,epoch,value,note\n0,c,m,1,{text},"{note}"\n')
    (row,) = read_recorded(path)
    assert row.resolution == pytest.approx(half_a_digit)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", "must have the columns"),
        (
            "notebook,configuration,metric,epoch,value,note\n0,c,m,1,high,\n",
            "line 2: epoch or value",
        ),
    ],
)
def test_wrong_recorded_file_is_refused(tmp_path, text, said):
    path = tmp_path / "recorded.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_recorded(path)


# --- the table ------------------------------------------------------------------------------------


def test_configurations_have_names_of_their_own():
    names = [c.name for c in CONFIGURATIONS]
    assert len(names) == len(set(names))
    assert all(name.isascii() and " " not in name for name in names)


def test_protocols_have_descriptions_of_their_own():
    assert len({str(c.protocol) for c in CONFIGURATIONS}) == len(CONFIGURATIONS)


# --- runs and their files -------------------------------------------------------------------------


def test_stored_run_comes_back(tmp_path):
    run = run_of("a", 3, train_loss={1: 0.1, 2: 1 / 3})
    assert read_run(write_run(tmp_path, run)) == run
    assert [path.name for path in tmp_path.iterdir()] == ["a.seed-3.json"]


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": 1}', '{"schema": 2, "figures": {}}'])
def test_damaged_run_is_named(tmp_path, text):
    path = tmp_path / "a.seed-1.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"a\.seed-1\.json is no reproduced run"):
        read_run(path)


def configuration(name: str = "000-a", **options: object) -> Configuration:
    return Configuration(name, SMALL, **options)


def test_finished_run_is_skipped(tmp_path):
    wanted = configuration()
    assert [job.seed for job in runner.pending([wanted], 2, tmp_path)] == [1, 2]
    write_run(tmp_path, run_of(wanted.name, 1))
    assert [job.seed for job in runner.pending([wanted], 2, tmp_path)] == [2]


@pytest.mark.parametrize(
    "change", [{"epochs": 1}, {"protocol": "another"}], ids=["fewer epochs", "another protocol"]
)
def test_other_run_is_done_again(tmp_path, change):
    wanted = configuration()
    write_run(tmp_path, replace(run_of(wanted.name, 1), **change))
    assert len(list(runner.pending([wanted], 1, tmp_path))) == 1


def test_damaged_run_is_done_again(tmp_path):
    (tmp_path / "000-a.seed-1.json").write_text("{")
    assert len(list(runner.pending([configuration()], 1, tmp_path))) == 1


def test_first_epochs_suffice_where_only_they_are_wanted(tmp_path):
    wanted = configuration()
    write_run(tmp_path, run_of(wanted.name, 1, epochs=1))
    assert list(runner.pending([wanted], 1, tmp_path, epochs=1)) == []


def test_first_seeds_come_before_second_ones(tmp_path):
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


def test_no_run_begins_after_the_budget(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(runner, "execute", lambda job, **_: begun.append(job.seed))
    jobs = list(runner.pending([configuration()], 3, tmp_path))
    said: list[str] = []
    options = {"folder": tmp_path, "root": None, "say": said.append}
    assert runner.run_all(jobs, minutes=0, **options) == 0
    assert "run again to go on" in said[0]
    assert runner.run_all(jobs, **options) == 3
    assert begun == [1, 2, 3]


def test_executed_run_is_stored(tmp_path, monkeypatch):
    monkeypatch.setattr(runner.datasets, "load", lambda name, root: images())
    job = runner.Job(configuration(), 1, 1)
    run = runner.execute(job, folder=tmp_path, root=None, say=silent)
    assert read_runs(tmp_path) == [run]
    assert list(run.figures.curve("train_loss")) == [1]


# --- recorded beside ours -------------------------------------------------------------------------


def recorded(value: float, epoch: int = 1, metric: str = "train_loss") -> Recorded:
    return Recorded("000", "000-a", metric, epoch, value, "", resolution=0.005)


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
def test_recorded_figure_is_one_more_draw_or_not(value, ours, verdict):
    runs = [run_of("000-a", seed, train_loss={1: y}) for seed, y in enumerate(ours, 1)]
    runs = runs or [run_of("000-a", 1, test_loss={1: 1.0})]
    (found,) = compare([recorded(value)], by_configuration(runs), [configuration()])
    assert found.verdict == verdict


def test_epoch_that_our_runs_did_not_reach_is_told_apart():
    runs = by_configuration([run_of("000-a", 1, epochs=2, train_loss={1: 0.5, 2: 0.4})])
    rows = [recorded(0.5, epoch=3), recorded(0.5, epoch=2, metric="test_loss")]
    found = compare(rows, runs, [configuration()])
    assert [c.verdict for c in found] == ["not reached", "not measured"]


def test_step_that_our_runs_took_is_reached():
    """A figure of step 4 in a run of one epoch."""
    runs = by_configuration([run_of("000-a", 1, epochs=1, layers_moved={4: 4.0})])
    (found,) = compare([recorded(4.0, epoch=4, metric="layers_moved")], runs, [configuration()])
    assert (found.reached, found.verdict) == (True, "as recorded")


def test_spread_is_shared_within_notebook_and_optimizer():
    runs = [run_of("000-b", seed, train_loss={1: y}) for seed, y in enumerate((0.4, 0.41, 0.42))]
    runs.append(run_of("000-a", 1, train_loss={1: 0.5}))
    table = [configuration("000-a"), configuration("000-b")]
    (found,) = compare([recorded(0.9)], by_configuration(runs), table)
    assert found.verdict == "deviates"


def test_mended_configuration_stands_beside_what_it_mends():
    mended = configuration("000-a-mended", recorded_as=("000-a",))
    runs = by_configuration([run_of("000-a-mended", 1, train_loss={1: 0.2})])
    (found,) = compare([recorded(0.5)], runs, [configuration(), mended])
    assert (found.configuration, found.deviation) == ("000-a-mended", pytest.approx(-0.3))


# --- the page -------------------------------------------------------------------------------------

REASON = report.Reason(
    title="A wrong sign",
    why="The sign is wrong.",
    configurations=("000-a",),
    proof=("000-a", "000-a-mended"),
    proof_metrics=("train_loss",),
)


def material(**options: object) -> report.Material:
    runs = [run_of("000-a", seed, train_loss={1: y}) for seed, y in enumerate((0.49, 0.5, 0.52), 1)]
    rows = [recorded(0.9), Recorded("000", "000-other", "none", 0, None, "no output")]
    table = (configuration(), configuration("000-a-mended", recorded_as=("000-a",)))
    return report.Material(rows, by_configuration(runs), table, **{"absent": {}} | options)


def test_page_names_data_seeds_recorded_ours_and_verdict():
    assert (
        "| 000-a | train_loss | 1 | MNIST | 0.9 | 0.5033 (3 seeds) [0.49, 0.52] | -0.4 | deviates |"
        in report.page(material()).splitlines()
    )


def test_page_gives_the_reason_with_its_proof():
    page = report.page(material(reasons=[REASON]))
    assert "### A wrong sign\n\nThe sign is wrong.\n\nFigures: 1 deviates." in page
    assert "| 000-a | train_loss | 1 | MNIST | 0.9 | 0.5033 (3 seeds) [0.49, 0.52] |" in page
    assert "| 000-a-mended | train_loss | 1 |  | 0.9 | not run |" in page
    assert "### Not explained" not in page


def test_page_lists_what_no_reason_explains():
    about_others = replace(REASON, configurations=("001-*",))
    page = report.page(material(reasons=[about_others]))
    assert "### Not explained" in page
    assert "A wrong sign" not in page


def test_page_says_what_was_not_run_and_why():
    page = report.page(material(absent={"000-a-m*": "takes hours"}))
    assert "| 000-a-mended | 1 | takes hours |" in page
    assert "| 000-other | 0 | no output |" in page


def test_page_does_not_depend_on_the_order_of_runs():
    one = material()
    other = replace(one, runs={name: runs[::-1] for name, runs in reversed(one.runs.items())})
    assert report.page(one) == report.page(other)


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
    first = report.write(tmp_path).read_text()
    assert report.write(tmp_path).read_text() == first
    assert "| 003-he-sgd | train_loss | 1 | MNIST | 0.814 | 0.84 (1 seed)" in first
    assert "| 000-mnist-softmax | 2 | later |" in first
    assert "7 (1 seed)" not in first


def test_reason_with_a_wrong_key_is_refused(tmp_path):
    path = tmp_path / "reasons.toml"
    path.write_text('[[reason]]\nbecause = "of this"\n')
    with pytest.raises(ValueError, match=r"reasons\.toml.*because"):
        report.read_reasons(path)


def test_shipped_reasons_name_configurations_that_exist():
    reasons, absent = report.read_reasons(ROOT / "baselines" / "reasons.toml")
    names = {c.name for c in CONFIGURATIONS}
    assert all(set(reason.proof) <= names for reason in reasons)
    known = names | {row.configuration for row in RECORDED}
    patterns = [*absent, *(p for reason in reasons for p in reason.configurations)]
    assert all(any(report._matches(name, [p]) for name in known) for p in patterns)


# --- the command ----------------------------------------------------------------------------------


def test_command_lists_configurations(capsys):
    assert command.main(["--list", "--only", "003-he-sgd"]) == 0
    assert capsys.readouterr().out.split()[0] == "003-he-sgd"


def test_command_refuses_what_is_not_there(capsys):
    assert command.main(["--only", "nothing"]) == 4
    assert "no configuration matches 'nothing'" in capsys.readouterr().err


def test_command_needs_data(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("INITCHECK_DATA_ROOT", raising=False)
    assert command.main(["--only", "003-he-sgd", "--baselines", str(tmp_path)]) == 4
    assert "--initcheck-data-root" in capsys.readouterr().err


# --- notebook 003 by hand -------------------------------------------------------------------------


def network(**options: object) -> handwritten.Network:
    return handwritten.Network.fresh(replace(SMALL, **options), 0)


def gradients(net: handwritten.Network, data: DataSet) -> list[torch.Tensor]:
    x = data.train_inputs.flatten(1)
    before, probabilities = net.forward(x, [None] * 4)
    return net._gradients(x, before, probabilities, (data.train_targets, [None] * 4))


def true_gradients(net: handwritten.Network, data: DataSet) -> list[torch.Tensor]:
    h = data.train_inputs.flatten(1)
    tensors = [t.clone().requires_grad_() for t in net.tensors]
    for layer, function in enumerate((torch.relu, torch.celu, F.silu, lambda x: x)):
        h = function(F.linear(h, tensors[2 * layer], tensors[2 * layer + 1]))
    return list(torch.autograd.grad(F.cross_entropy(h, data.train_targets), tensors))


def test_gradients_without_faults_are_true():
    net, data = network(), images()
    for ours, true in zip(gradients(net, data), true_gradients(net, data), strict=True):
        torch.testing.assert_close(ours, true, rtol=1e-3, atol=1e-6)


def test_celu_fault_changes_only_what_lies_before_it():
    data = images()
    faulty, true = gradients(network(faults=("celu",)), data), gradients(network(), data)
    same = [torch.equal(a, b) for a, b in zip(faulty, true, strict=True)]
    assert same == [False] * 4 + [True] * 4


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_derivatives_are_difference_quotients(layer):
    a = torch.linspace(-3, 3, 40, dtype=torch.float64)
    h = 1e-6
    quotient = handwritten.activation(layer, a + h) - handwritten.activation(layer, a - h)
    found = handwritten.derivative(layer, a, ()).double()
    torch.testing.assert_close(found, quotient / (2 * h), rtol=1e-6, atol=1e-6)


def test_celu_fault_is_zero_above_zero():
    found = handwritten.derivative(2, torch.tensor([-1.0, 0.0, 2.0]), ("celu",))
    assert found.tolist() == [pytest.approx(0.3679, abs=1e-4), 0, 0]


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.1)),
        ("rmsprop", lambda p: torch.optim.RMSprop(p, lr=0.1, alpha=0.9)),
    ],
)
def test_updates_without_faults_are_those_of_torch(name, theirs):
    net = network(optimizer=name)
    copies = [t.clone().requires_grad_() for t in net.tensors]
    optimizer = theirs(copies)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        drawn = [torch.randn(t.shape, generator=generator) for t in net.tensors]
        for copy, g in zip(copies, drawn, strict=True):
            copy.grad = g.clone()
        optimizer.step()
        handwritten.UPDATES[name](net, drawn)
    for ours, copy in zip(net.tensors, copies, strict=True):
        torch.testing.assert_close(ours, copy.detach(), rtol=1e-5, atol=1e-6)


def test_adam_fault_counts_tensors():
    net = network(optimizer="adam", faults=("adam",))
    before = net.tensors[-1].clone()
    handwritten.UPDATES["adam"](net, [torch.ones_like(t) for t in net.tensors])
    assert net.counted == 8
    step = (before - net.tensors[-1])[0].item() / 0.1  # of the 8th tensor; 1 would be right
    assert step == pytest.approx(0.1 / (1 - 0.9**8) / (0.001 / (1 - 0.999**8)) ** 0.5, rel=1e-4)
    assert step == pytest.approx(0.496, abs=1e-3)


def test_dropout_fault_drops_samples():
    generator = torch.Generator().manual_seed(0)
    keep = (1.0, 0.5, 0.5, 0.5)
    _, by_sample, *_ = network(keep=keep, faults=("dropout",))._masks(64, generator)
    _, by_unit, *_ = network(keep=keep)._masks(64, generator)
    assert by_sample.shape == (64, 1)
    assert by_unit.shape == (64, 512)
    assert sorted(by_sample.unique().tolist()) == [0.0, 2.0]
    assert by_unit.mean().item() == pytest.approx(1, abs=0.05)


def test_decay_shrinks_whatever_the_learning_rate():
    net = network(decay=1e-4, momentum=0.0)
    before = [t.clone() for t in net.tensors]
    handwritten.UPDATES["sgd"](net, [torch.zeros_like(t) for t in net.tensors])
    for t, was in zip(net.tensors, before, strict=True):
        assert torch.equal(t, was * (1 - 1e-4))


def test_loss_is_capped():
    net, data = network(start="randn"), images()
    loss, _ = net.test(replace(data, test_inputs=data.test_inputs * 1e4))
    assert 0 < loss <= 18.43


def test_hand_written_figures_are_of_every_epoch_and_seeded():
    one, again = (SMALL.run(images(), 5, silent) for _ in range(2))
    assert one == again
    assert list(one.curve("train_loss")) == [1, 2]
    assert list(one.curve("test_accuracy")) == list(one.curve("loss_gap")) == [2]
    best = max(one.curve("train_accuracy").values())
    assert one.curve("accuracy_gap")[2] == abs(best - one.curve("test_accuracy")[2])
    assert SMALL.run(images(), 6, silent) != one


@pytest.mark.parametrize("wrong", [{"start": "she"}, {"optimizer": "lion"}, {"faults": ("sign",)}])
def test_unknown_words_are_refused(wrong):
    with pytest.raises(ValueError, match=r"there is no start|is none of"):
        replace(SMALL, **wrong)


# --- protocols in initcheck's loop ----------------------------------------------------------------

LIBRARY = Library(mlp(784, 8, 10), torch_default, Adam(lr=1e-2), batch=10, epochs=2)


def test_library_figures_are_of_every_epoch():
    found = LIBRARY.run(images(), 1, silent)
    assert list(found.curve("test_loss")) == [0, 1, 2]
    assert list(found.curve("train_loss")) == [1, 2]
    assert found.curve("train_loss")[2] < found.curve("train_loss")[1]


def test_library_holds_out_the_end_of_what_it_uses():
    data = images()
    used = replace(LIBRARY, images=40, held_out=10)._used(data)
    assert torch.equal(used.train_inputs, data.train_inputs[:30])
    assert torch.equal(used.test_inputs, data.train_inputs[30:40])


def test_library_scales_test_images_only():
    data = images()
    used = replace(LIBRARY, test_scale=255.0)._used(data)
    assert torch.equal(used.test_inputs, data.test_inputs * 255)
    assert torch.equal(used.train_inputs, data.train_inputs)


def test_library_ranks_residuals_and_shows_entries():
    wanted = replace(
        LIBRARY, network=mlp(784, 20, 20, 10), rank_of="hidden2.weight", entries_of="hidden2.weight"
    )
    found = wanted.run(images(), 1, silent)
    assert 0 < found.curve("largest_rank_minus_start")[2] <= 20
    assert "entry[0,-1]" in found.curves


def test_library_counts_layers_that_moved():
    waking = replace(LIBRARY, initializer=zeros, optimizer=SGD(lr=0.1), steps=3)
    found = waking.run(images(), 1, silent)
    assert found.curve("layers_moved") == {1: 0, 2: 0, 3: 0}  # no bias, no wave
    found = replace(waking, initializer=torch_default).run(images(), 1, silent)
    assert found.curve("layers_moved") == {1: 2, 2: 2, 3: 2}


def test_shipped_runs_are_of_the_present_protocols():
    protocols = {c.name: str(c.protocol) for c in CONFIGURATIONS}
    paths = sorted((ROOT / "baselines" / "reproduced").glob("*.json"))
    assert paths
    for path in paths:
        run = json.loads(path.read_text())
        assert run["protocol"] == protocols[run["configuration"]], path.name
