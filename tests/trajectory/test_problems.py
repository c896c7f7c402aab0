"""What is said where r has no meaning, and of tensors that come, go or change their shape."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from initcheck.trajectory import unchanged
from initcheck.trajectory.compare import compare
from initcheck.trajectory.loops import Loop
from initcheck.trajectory.run import run
from tests.helpers.loops import small
from tests.trajectory.judging import recorded


def with_buffer(seed, *, at=None, what="keeps", only=None):
    """A loop whose model has a buffer, to which something happens after a step."""
    loop = small(seed)
    model, optimizer = next(loop)
    model.register_buffer("extra", torch.ones(3))
    yield model, optimizer
    for step, loss in enumerate(loop):
        if step == at and only in {None, seed}:
            change(model, what)
        yield loss


def change(model, what):
    if what == "loses":
        del model.extra
    elif what == "makes":
        model.register_buffer("late", torch.ones(2))
    elif what == "grows":
        model.extra = torch.ones(5)
    elif what == "rounds":
        model.extra = model.extra.bfloat16()
    elif what == "overflows":
        model.extra = model.extra * torch.inf


def record(tmp_path, loop, steps=8):
    file = tmp_path / "r.json"
    return file, unchanged(loop, file=file, steps=steps, seeds=2, record="a test")


def said(report):
    return " ".join("\n".join(report.lines()).split())


# --- what a recording says ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("loses", "extra is gone after step 4. A check follows it until then, and expects that it"),
        ("makes", "late is made in training and is there after step 4. From then on a check fol"),
        ("grows", "extra is (3) float32 at the start and (5) float32 after step 4. From then on a"),
        ("rounds", "extra is (3) float32 at the start and (3) bfloat16 after step 4. A check foll"),
    ],
)
def test_a_recording_says_how_tensors_change_in_training(tmp_path, what, sentence):
    file, report = record(tmp_path, partial(with_buffer, at=3, what=what))
    assert f"in training {sentence}" in said(report)
    again = unchanged(partial(with_buffer, at=3, what=what), file=file)
    assert (again.verdict, again.r) == ("unchanged", pytest.approx(0, abs=0.05))


def test_a_recording_says_what_it_does_not_follow(tmp_path):
    file, report = record(tmp_path, partial(with_buffer, at=0, what="loses"))
    assert "extra is gone after step 0, so it is not followed." in said(report)
    assert unchanged(partial(with_buffer, at=0, what="loses"), file=file).ok


def test_a_recording_of_fixed_tensors_says_nothing_of_them(tmp_path):
    assert "in training" not in said(record(tmp_path, with_buffer)[1])


# --- what a check says ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "now", "only", "sentence"),
    [
        ("keeps", "loses", None, "extra is no longer there after step 4 with seed 0, and it was i"),
        ("keeps", "loses", 1, "extra is no longer there after step 4 with seed 1, and it was in t"),
        ("loses", "keeps", None, "extra is there after step 4 with seed 0, and it was not in the"),
        ("keeps", "overflows", None, "extra is not finite after step 4 with seed 0, and it was i"),
        ("keeps", "overflows", 1, "extra is not finite after step 4 with seed 1, and it was in t"),
        ("keeps", "makes", None, "The model has other tensors than the recorded one (new: late)."),
        ("keeps", "makes", 1, "The model has other tensors than the recorded one (new: late)."),
    ],
)
def test_a_tensor_that_comes_or_goes_now_is_named(tmp_path, then, now, only, sentence):
    file, _ = record(tmp_path, partial(with_buffer, at=3, what=then))
    report = unchanged(partial(with_buffer, at=3, what=now, only=only), file=file)
    assert report.verdict == "changed"
    assert report.comparison.why.startswith(sentence)
    assert "inf" not in said(report).replace(str(file), "")


@pytest.mark.parametrize("what", ["grows", "loses"])
def test_a_change_of_shape_that_was_not_recorded_is_found(tmp_path, what):
    file, _ = record(tmp_path, with_buffer)
    assert unchanged(partial(with_buffer, at=3, what=what), file=file).verdict == "changed"


def test_the_farthest_tensor_is_named_with_its_step(tmp_path):
    file, _ = record(tmp_path, small)
    report = unchanged(partial(small, rate=0.1005), file=file, name="small")
    found = report.comparison.tensors
    row, column = divmod(int(found.r.argmax()), found.r.shape[1])
    place = f"in {found.names[row]} at step {report.reference.judged[column]}, and 10 are allowed"
    assert place in said(report)


# --- the command that records ---------------------------------------------------------------------


def test_a_loop_that_is_not_finite_is_not_offered_to_be_recorded(tmp_path):
    def burst(seed):
        for number, shown in enumerate(small(seed)):
            yield shown * torch.nan if number == 3 else shown

    file, _ = record(tmp_path, small)
    report = unchanged(burst, file=file)
    assert "if meant" not in said(report)
    assert "Only a loop whose losses are finite can be judged or recorded." in said(report)


@pytest.mark.parametrize(("given", "option"), [({}, "steps=5, "), ({"steps": 8}, "steps=5, ")])
def test_a_loop_that_ends_early_is_offered_to_be_recorded_with_fewer_steps(tmp_path, given, option):
    file, _ = record(tmp_path, small)
    report = unchanged(partial(small, steps=5), file=file, name="small", **given)
    assert report.command == f"unchanged(small, file={str(file)!r}, {option}seeds=2, record='why')"


def test_the_steps_of_a_command_are_replaced(tmp_path):
    file, _ = record(tmp_path, small)
    report = unchanged(
        partial(small, steps=5), file=file, steps=8,
        command="initcheck unchanged x:y --file r.json --steps 8 --record 'why'",
    )  # fmt: skip
    assert "--steps 5 --seeds 2 --record 'why'" in report.command


def test_training_without_a_parameter_that_moves_is_not_offered_to_be_recorded(tmp_path):
    """A reference made by hand, in which nothing moves: `unchanged` refuses to record one."""
    reference = recorded(small)
    for each in reference.tensors.values():
        each.ways[:] = 0.0
    found = compare([run(Loop(small, "small"), 0, reference.steps)], reference)
    assert (found.verdict, found.steps) == ("undecided", 0)
