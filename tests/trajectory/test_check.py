"""`unchanged`: recording, checking, and what it says."""

from __future__ import annotations

import json
import re
from functools import partial

import pytest
import torch

from initcheck.trajectory import TrajectoryError, unchanged
from initcheck.trajectory.file import read
from tests.helpers.loops import small


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    file = tmp_path_factory.mktemp("reference") / "reference.json"
    report = unchanged(small, file=file, steps=8, seeds=2, record="the first")
    return file, report


def test_a_recording_says_what_was_recorded(recorded):
    file, report = recorded
    assert report.verdict == "recorded"
    assert not report.ok
    text = "\n".join(report.lines())
    assert "2 seeds, 8 steps, 6 twins each" in text
    assert "4 of 4 tensors" in text
    assert str(file) in text


def test_the_same_loop_is_unchanged_to_the_last_bit(recorded):
    report = unchanged(small, file=recorded[0])
    assert report.ok
    assert report.r < 0.05  # only the file's own rounding is left
    assert report.loss_r == 0
    assert report.first_step is None
    assert not report.where


@pytest.mark.parametrize("factor", [0.9995, 1.001])
def test_another_learning_rate_is_found_at_the_first_step_and_named(recorded, factor):
    report = unchanged(partial(small, rate=0.1 * factor), file=recorded[0], name="small")
    assert report.verdict == "changed"
    assert report.r > 100
    assert report.first_step == 0
    assert report.tensor in {"0.weight", "0.bias", "2.weight", "2.bias"}
    text = "\n".join(report.lines())
    assert f"lr of group 0 is {0.1 * factor} and was 0.1." in text
    assert "outputs and gradients of all layers are as recorded" in " ".join(text.split())


def test_the_kernel_of_an_optimizer_is_neither_recorded_nor_compared(recorded, tmp_path):
    def with_kernel(seed, **setting):
        loop = small(seed)
        model, optimizer = next(loop)
        optimizer.param_groups[0].update(setting)
        yield model, optimizer
        yield from loop

    file = tmp_path / "r.json"
    unchanged(partial(with_kernel, foreach=True), file=file, steps=4, seeds=1, record="x")
    assert "foreach" not in file.read_text()
    file.write_text(file.read_text().replace('"0 lr"', '"0 foreach": false, "0 lr"'))  # as before
    report = unchanged(partial(with_kernel, foreach=True), file=file)
    assert report.comparison.notes == []
    report = unchanged(partial(with_kernel, foreach=True, momentum=0.8), file=file)
    assert [each.split(" of ")[0] for each in report.comparison.notes] == ["At step 0, momentum"]


def test_another_forward_pass_is_found_in_its_layer(recorded):
    def other(seed):
        loop = small(seed)
        model, optimizer = next(loop)
        model[1].forward = lambda x: torch.tanh(x) * 1.001
        yield model, optimizer
        yield from loop

    report = unchanged(other, file=recorded[0])
    assert report.verdict == "changed"
    assert report.where.startswith("the output of 1 ")


def test_another_start_is_said_first(recorded):
    report = unchanged(lambda seed: small(seed + 1), file=recorded[0])
    assert report.verdict == "changed"
    assert report.r is None
    assert report.comparison.why.startswith("The start has changed: with seed 0, 0.weight")


def test_another_batch_is_said_second(recorded):
    def other(seed):
        loop = small(seed)
        model, optimizer = next(loop)
        yield model, optimizer
        torch_randn = torch.randn
        torch.randn = lambda *shape, **rest: torch_randn(*shape, **rest).flip(0)
        try:
            yield from loop
        finally:
            torch.randn = torch_randn

    report = unchanged(other, file=recorded[0])
    assert report.comparison.why.startswith("The data have changed: with seed 0, input 0 ")


def test_a_loop_that_ends_early_has_changed(recorded):
    report = unchanged(partial(small, steps=5), file=recorded[0], name="small")
    assert report.comparison.why == "It ends after 5 of 8 steps with seed 0."


def test_a_loop_that_loses_a_tensor_has_changed(recorded):
    def other(seed):
        loop = small(seed)
        model, optimizer = next(loop)
        model[2].bias.requires_grad_(requires_grad=False)
        yield model, optimizer
        yield from loop

    report = unchanged(other, file=recorded[0])
    assert report.comparison.why == "2.bias trained in the record and is frozen now."


def test_a_new_tensor_is_named(recorded):
    def other(seed):
        loop = small(seed)
        model, optimizer = next(loop)
        model.register_buffer("extra", torch.ones(3))
        yield model, optimizer
        yield from loop

    report = unchanged(other, file=recorded[0])
    assert "(new: extra)" in report.comparison.why


def test_a_loss_that_is_not_finite_has_changed(recorded):
    def other(seed):
        for number, shown in enumerate(small(seed)):
            yield float("nan") if number == 3 else shown

    report = unchanged(other, file=recorded[0])
    assert report.comparison.why.startswith("The loss is nan at step 2 with seed 0. Only a loop")


def test_the_json_holds_every_r(recorded):
    plain = unchanged(partial(small, rate=0.2), file=recorded[0], name="small").as_json()
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text) == plain
    assert plain["verdict"] == "changed"
    assert plain["steps"] == [0, 1, 2, 4, 7]
    assert {len(row) for row in plain["tensors"].values()} == {5}
    assert max(r for row in plain["tensors"].values() for r in row) == plain["r"]


# --- what is refused ------------------------------------------------------------------------------


def test_a_missing_reference_names_the_command(tmp_path):
    with pytest.raises(TrajectoryError, match=r"no reference .*none.json. Record one: unchanged\("):
        unchanged(small, file=tmp_path / "none.json")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"steps": 9}, "9 steps were requested, and the reference has 8"),
        ({"seeds": 3}, r"The seeds \[0, 1, 2\] were requested, and the reference has \[0, 1\]"),
        ({"steps": 0}, "0 steps were requested. Request 1 or more"),
        ({"seeds": 0}, "seeds=0 was requested. Request 1 or more"),
        ({"seeds": [1, 1]}, "a list of different ones"),
        ({"record": " "}, "A recording needs a reason"),
        ({"device": "cpu"}, "small has no parameter named device"),
    ],
)
def test_what_was_not_recorded_cannot_be_asked_for(recorded, asked, sentence):
    with pytest.raises(TrajectoryError, match=sentence):
        unchanged(small, file=recorded[0], **asked)


def test_a_recording_of_what_cannot_be_repeated_leaves_the_old_file(recorded, tmp_path):
    file = tmp_path / "reference.json"
    file.write_text(recorded[0].read_text())
    calls = []

    def drifting(seed):
        calls.append(seed)
        yield from small(seed, rate=0.1 + 0.01 * len(calls))

    with pytest.raises(TrajectoryError, match=r"not repeatable: \d+% of losses and tensors differ"):
        unchanged(drifting, file=file, steps=8, seeds=2, record="again")
    assert file.read_text() == recorded[0].read_text()


def test_a_second_recording_keeps_the_history(recorded, tmp_path):
    file = tmp_path / "reference.json"
    file.write_text(recorded[0].read_text())
    unchanged(small, file=file, steps=4, seeds=1, record="fewer steps")
    reference = read(file)
    assert reference.reason == "fewer steps"
    assert [each["reason"] for each in reference.history] == ["the first"]


def test_a_file_that_is_no_reference_is_not_replaced(tmp_path):
    file = tmp_path / "notes.json"
    file.write_text('{"mine": 1}')
    with pytest.raises(TrajectoryError, match="is no reference of a training loop"):
        unchanged(small, file=file, steps=4, seeds=1, record="why")
    assert file.read_text() == '{"mine": 1}'


@pytest.mark.parametrize("size", [1e-6, 1e-2])
def test_noise_in_the_data_that_is_not_seeded_is_refused_however_small(tmp_path, size):
    noise = torch.Generator().manual_seed(0)  # goes on from run to run

    def noisy(seed):
        generator = torch.Generator().manual_seed(seed)
        model, optimizer = next(small(seed))
        yield model, optimizer
        while True:
            inputs = torch.randn(16, 6, generator=generator)
            inputs += size * torch.randn(16, 6, generator=noise)
            loss = model(inputs).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            yield loss

    with pytest.raises(TrajectoryError, match=r"not repeatable: .* gets different inputs"):
        unchanged(noisy, file=tmp_path / "r.json", steps=4, seeds=2, record="why")


def test_noise_in_the_weights_that_is_not_seeded_is_refused(tmp_path):
    noise = torch.Generator().manual_seed(0)

    def noisy(seed):
        for number, shown in enumerate(small(seed)):
            if not number:
                weight = shown[0][0].weight
            else:
                with torch.no_grad():
                    weight.mul_(1 + 1e-3 * torch.randn(weight.shape, generator=noise))
            yield shown

    with pytest.raises(TrajectoryError, match=r"not repeatable: \d+% of losses and tensors"):
        unchanged(noisy, file=tmp_path / "r.json", steps=4, seeds=2, record="why")


def test_dropout_of_a_compiled_model_is_not_compared_with_that_of_a_plain_one(recorded, tmp_path):
    def dropped(seed, *, compiled):
        torch.manual_seed(seed)
        model = torch.nn.Sequential(torch.nn.Linear(6, 3), torch.nn.Dropout(0.5))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        if compiled:  # the default backend, which needs a compiler, draws other numbers as well
            model[1].register_forward_pre_hook(lambda _module, _inputs: torch.rand(1) and None)
            model.compile(backend="eager")
        yield model, optimizer
        while True:
            loss = model(torch.randn(8, 6)).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            yield loss

    file = tmp_path / "r.json"
    unchanged(partial(dropped, compiled=False), file=file, steps=3, seeds=1, record="x")
    report = unchanged(partial(dropped, compiled=True), file=file)
    assert report.verdict == "undecided"
    assert "was eager in the record and is compiled now" in report.comparison.why
    assert "model: compiled now, eager then" in "\n".join(report.lines())


def test_a_reference_of_another_loop_is_said(recorded):
    lines = unchanged(small, file=recorded[0], name="other").lines()
    assert "recorded as  small" in lines


def test_equal_runs_are_not_several(tmp_path):
    with pytest.raises(TrajectoryError, match="does the same with seed 1 as with seed 0"):
        unchanged(lambda seed: small(0), file=tmp_path / "r.json", steps=4, record="why")


def test_a_loop_in_which_rounding_decides_everything_cannot_be_recorded(tmp_path):
    def chaotic(seed):
        """Trains a bias before a normalization, whose gradient is rounding alone, by Adam."""
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            first = torch.nn.Linear(6, 8)
        first.weight.requires_grad_(requires_grad=False)
        normal = torch.nn.BatchNorm1d(8, affine=False, track_running_stats=False)
        model = torch.nn.Sequential(first, normal)
        optimizer = torch.optim.Adam([first.bias], lr=1e-3)
        yield model, optimizer
        for _ in range(8):
            outputs = model(torch.randn(16, 6, generator=generator))
            loss = (outputs * torch.randn(16, 8, generator=generator)).mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            yield loss

    with pytest.raises(TrajectoryError, match="cannot be judged: Rounding alone moves every"):
        unchanged(chaotic, file=tmp_path / "r.json", steps=8, seeds=2, record="why")


def test_the_float64_twin_is_refused_aloud(tmp_path):
    def narrow(seed, dtype=torch.float32):
        yield from small(seed)

    report = unchanged(narrow, file=tmp_path / "r.json", steps=4, seeds=1, record="why")
    assert "float64      no twin: its model ignores the dtype" in "\n".join(report.lines())
    assert read(tmp_path / "r.json").twins == 6


def test_progress_counts_every_run(tmp_path):
    seen = []
    unchanged(
        small, file=tmp_path / "r.json", steps=2, seeds=1, record="why",
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == [(k, 9) for k in range(1, 10)]  # once, again, 6 twins and one in float64


def test_generators_and_flags_are_as_before(recorded):
    torch.manual_seed(5)
    before, threads = torch.get_rng_state(), torch.get_num_threads()

    def careless(seed):
        torch.set_num_threads(1 if threads > 1 else 2)
        torch.manual_seed(seed)
        yield from small(seed)

    assert unchanged(careless, file=recorded[0]).ok
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_no_line_is_wider_than_a_hundred_columns(recorded):
    report = unchanged(partial(small, rate=0.2), file=recorded[0], name="small")
    wide = [line for line in report.lines(verbose=True) if len(line) > 100]
    assert all(re.search(r"\S{60}", line) for line in wide)  # a path is never broken
