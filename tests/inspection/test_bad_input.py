"""What cannot be inspected ends in a sentence or in "not judged", never in a traceback."""

# ruff: noqa: D101 -- a class here is named after what is odd about it

from __future__ import annotations

import os
import random
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from initcheck import inspect_model
from initcheck.inspection import InspectionError
from initcheck.inspection.calling import imported
from tests.inspection.faulty import CLASSES, nan_from_the_start, rows


def linear():
    return nn.Linear(8, CLASSES)


def _raises():
    message = "out of ideas\nand a second line"
    raise ValueError(message)


def _downloads():
    urllib.request.urlopen("http://192.0.2.1/weights")


class NoSuper(nn.Module):
    def __init__(self):
        self.number = 3


SHARED = nn.Linear(8, CLASSES)

REFUSED = {
    "a module": (nn.Linear(2, 2), "is a Linear, not a function"),
    "arguments": (lambda width: nn.Linear(width, 2), "needs arguments: width"),
    "nothing": (lambda: None, "returned None, not a torch.nn.Module"),
    "a class": (lambda: nn.Linear, "returned a type"),
    "an error": (_raises, "raised ValueError: out of ideas ("),
    "an exit": (lambda: sys.exit(0), "ended the program (SystemExit: 0)"),
    "the same module again": (lambda: SHARED, "returned the same module twice"),
    "a download": (_downloads, "another machine (tests/inspection/test_bad_input.py:"),
    "no super": (NoSuper, "a NoSuper whose parameters cannot be listed: AttributeError"),
    "a part without super": (lambda: nn.Sequential(NoSuper()), "Call super().__init__() first"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_build_that_cannot_be_used_is_refused(case):
    build, sentence = REFUSED[case]
    with pytest.raises(InspectionError) as error:
        inspect_model(build, name="model")
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("mine", "'mine' is not MODULE:FUNCTION"),
        ("nowhere_at_all:build", "There is no module 'nowhere_at_all'"),
        ("mne:build", "on Python's path. Did you mean mine? Install it"),
        ("torch.nm:Linear", " or torch.nn or "),
        ("broken:build", "broken cannot be imported: SyntaxError"),
        ("mine:bild", "mine has no function 'bild'. Did you mean build?"),
        ("mine:number", "mine:number is an int, which cannot be called"),
    ],
)
def test_a_name_that_cannot_be_found_is_refused(tmp_path, monkeypatch, name, sentence):
    (tmp_path / "mine.py").write_text("number = 7\ndef build(): pass\n")
    (tmp_path / "broken.py").write_text("def build(")
    monkeypatch.setattr("sys.modules", {**__import__("sys").modules})
    with pytest.raises(InspectionError) as error:
        imported(name, tmp_path)
    assert sentence in str(error.value)


BATCHES = {
    "another shape": (lambda: (torch.randn(4, 7), torch.zeros(4, dtype=torch.long)), "raised"),
    "no targets": (lambda: torch.randn(4, 8), "the batch has no targets"),
    "targets of another shape": (lambda: (torch.randn(4, 8), torch.randn(4, 2)), "needs equal"),
    "targets that are no classes": (
        lambda: (torch.randn(4, 8), torch.zeros(3, dtype=torch.long)), "one more dimension",
    ),
    "targets beyond the classes": (
        lambda: (torch.randn(4, 8), torch.full((4,), 99)), "cross entropy raised IndexError",
    ),
    "an error": (_raises, "the batch's function raised ValueError"),
}  # fmt: skip


@pytest.mark.parametrize("case", BATCHES)
def test_a_batch_that_cannot_be_used_leaves_checks_not_judged(case):
    batch, why = BATCHES[case]
    inspection = inspect_model(linear, batch)
    assert "asleep" not in inspection.judged.checks
    assert any(each.check == "asleep" and why in each.why for each in inspection.not_judged)


def test_a_batch_may_be_a_list():
    inspection = inspect_model(linear, lambda: [*rows()])
    assert "asleep" in inspection.judged.checks


class OwnLoss(nn.Linear):
    """Returns its loss as a number."""

    def forward(self, x):
        return super().forward(x).square().mean()


def test_a_module_may_return_a_loss_alone():
    inspection = inspect_model(lambda: OwnLoss(8, CLASSES), lambda: rows()[0], name="own loss")
    assert "asleep" in inspection.judged.checks


def test_a_batch_that_exits_does_not_end_the_inspection():
    inspection = inspect_model(linear, lambda: sys.exit(0))
    assert any("ended the program (SystemExit: 0)" in each.why for each in inspection.not_judged)


ODD = {
    "complex": lambda: _with(torch.randn(3, 4, dtype=torch.complex128)),
    "expanded": lambda: _with(torch.zeros(1).expand(3, 4)),
    "scripted": lambda: torch.jit.script(nn.Linear(4, 3)),
    "a sparse buffer": lambda: _with(torch.zeros(3, 4), torch.eye(3).to_sparse()),
}


def _with(tensor, buffer=None):
    module = nn.Linear(4, 3)
    module.extra = nn.Parameter(tensor)
    module.register_buffer("adjacency", buffer)
    return module


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_ends_in_no_traceback(case):
    inspection = inspect_model(ODD[case], name=case)
    assert inspection.judged.parameters


def test_without_a_batch_its_checks_are_named():
    assert "not judged  asleep, signal, start_loss, first_gradient: it needs a batch" in str(
        inspect_model(linear)
    )


def test_a_loss_that_is_not_finite_is_named():
    inspection = inspect_model(nan_from_the_start, rows)
    assert any("the loss is nan at step 1" in each.why for each in inspection.not_judged)


@pytest.mark.parametrize(
    "build", [nn.ReLU, lambda: nn.LazyLinear(3), lambda: nn.Linear(2, 2, device="meta")]
)
def test_a_module_of_which_nothing_is_judged_is_not_ok(build):
    inspection = inspect_model(build, name="empty")
    assert not inspection.ok
    assert "Nothing was judged" in str(inspection)


def test_a_frozen_module_is_judged():
    def frozen():
        return linear().requires_grad_(requires_grad=False)

    inspection = inspect_model(frozen, rows)
    assert inspection.ok
    assert any("no parameter is trainable" in each.why for each in inspection.not_judged)


class NoCopies(nn.Linear):
    def __init__(self):
        super().__init__(8, CLASSES)
        self.again = self.weight

    def __deepcopy__(self, memo):
        message = "one of a kind"
        raise TypeError(message)


def test_a_module_that_cannot_be_copied_is_judged_otherwise():
    inspection = inspect_model(NoCopies, rows)
    assert any(each.check == "tied" and "cannot be copied" in each.why
               for each in inspection.not_judged)  # fmt: skip
    assert "asleep" in inspection.judged.checks


class Changing(nn.Linear):
    """Draws random numbers, changes its input and keeps state."""

    def __init__(self):
        super().__init__(8, CLASSES)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        x.add_(torch.rand(()))
        return super().forward(x)


def _goes_elsewhere():
    os.chdir(os.sep)
    return linear()


def test_nothing_is_left_changed():
    python, legacy, generator = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    kept = rows()
    inputs = kept[0].clone()
    inspect_model(Changing, rows)
    assert random.getstate() == python
    assert np.array_equal(np.random.get_state()[1], legacy[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.equal(kept[0], inputs)
    folder = Path.cwd()
    inspect_model(_goes_elsewhere)
    assert Path.cwd() == folder
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_loss_with_several_numbers_is_named_by_its_shape():
    def losses(module, batch):
        return nn.functional.cross_entropy(module(batch[0]), batch[1], reduction="none")

    text = str(inspect_model(linear, rows, loss=losses))
    assert "The loss has the shape (" in text
    assert "Return one number, such as its mean." in text


def test_a_module_instead_of_a_function_can_be_shown_in_a_traceback():
    with pytest.raises(InspectionError, match="not a function that builds it") as error:
        inspect_model(nn.Linear(2, 2))
    shown = [
        repr(each.frame.f_locals["self"]) for each in error.traceback
        if "self" in each.frame.f_locals
    ]  # fmt: skip
    assert shown
    assert all("seeded_by=''" in each for each in shown)


def test_a_loss_that_reaches_no_parameter_is_not_ok():
    inspection = inspect_model(
        linear, rows, loss=lambda module, batch: torch.ones((), requires_grad=True)
    )
    assert not inspection.ok
    assert "asleep, units, signal, start_loss, first_gradient: The loss does not depend on any" in (
        str(inspection)
    )


def test_gradients_that_the_build_turned_off_are_named():
    def build():
        torch.set_grad_enabled(mode=False)
        return linear()

    assert "gradients are off, by torch.set_grad_enabled(False)" in str(inspect_model(build, rows))
    assert torch.is_grad_enabled()


def test_a_long_message_of_an_error_is_cut():
    def build():
        raise ValueError("many words " * 100)

    with pytest.raises(InspectionError) as error:
        inspect_model(build)
    assert len(str(error.value)) < 400
    assert " ... (tests/inspection/test_bad_input.py:" in str(error.value)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")  # torch deprecates them
def test_sparse_and_quantized_tensors_are_named_as_such():
    quantized = torch.quantize_per_tensor(torch.randn(3), 0.1, 0, torch.qint8)
    for buffer, why in (
        (torch.eye(3).to_sparse(), "sparse: its layout is"),
        (quantized, "quantized"),
    ):
        inspection = inspect_model(
            lambda buffer=buffer: _with(torch.zeros(2), buffer), name="model"
        )
        assert f"not judged  all: adjacency: {why}" in str(inspection)


class LimitsItsWeights(nn.Linear):
    """Its forward pass writes its weight, as a limit on the length of each row does."""

    def __init__(self):
        super().__init__(8, CLASSES)
        nn.init.normal_(self.weight, std=3.0)

    def forward(self, x):
        with torch.no_grad():
            self.weight.copy_(self.weight / self.weight.norm(dim=1, keepdim=True))
        return super().forward(x)


def test_what_a_forward_pass_writes_is_put_back(tmp_path):
    """The law, the record and the table are of the start, with a batch and without one."""
    for name, batch in (("with.json", rows), ("without.json", None)):
        inspection = inspect_model(LimitsItsWeights, batch, record=tmp_path / name)
        row = inspection.frame.set_index("name").loc["weight"]
        assert row["std"] > 2.0, inspection
    assert (tmp_path / "with.json").read_text() == (tmp_path / "without.json").read_text()
