"""On another device the same is found: what is known of a tensor follows it to its new memory.

No accelerator is needed. The device is ``cpu:0``, and moving a module there copies every tensor.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from initcheck import inspect_model
from initcheck.inspection import InspectionError
from initcheck.inspection.subject import Subject
from initcheck.inspection.surroundings import seed_everything
from tests.inspection import faulty, innocent
from tests.inspection.test_faulty import FAULTY
from tests.inspection.test_faulty_more import FOUND

ELSEWHERE = "cpu:0"
#: Checks that ask who wrote a tensor, or whether it was drawn.
BY_MEMORY = {"rebuilt", "units", "effect", "written"}
CASES = [case for case in FAULTY if case[2] in BY_MEMORY] + [
    (build, faulty.rows, check, severity, parameter)
    for build, check, severity, parameter in FOUND if check in BY_MEMORY
]  # fmt: skip


@pytest.fixture
def copied(monkeypatch):
    """Moving a module copies it, as to an accelerator."""
    monkeypatch.setattr(
        nn.Module, "to",
        lambda self, device: self._apply(lambda each: each.detach().to(device, copy=True)),
    )  # fmt: skip


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize(
    ("build", "batch", "check", "severity", "parameter"),
    CASES,
    ids=[case[0].__name__ for case in CASES],
)
def test_a_fault_is_found_on_another_device(build, batch, check, severity, parameter):
    inspection = inspect_model(build, batch, device=ELSEWHERE)
    named = [each for each in inspection.findings if parameter in each.parameters]
    assert (check, severity) in [(each.check, each.severity) for each in named], str(inspection)


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize("build", [innocent.Tied, innocent.Recurrent, innocent.weight_normed])
def test_the_text_is_that_of_the_cpu(build):
    def words(device):
        inspection = inspect_model(build, faulty.rows, device=device, name="model")
        return str(inspection).rpartition(" s")[0].rpartition(",")[0]

    assert words(ELSEWHERE) == words("cpu")


@pytest.mark.usefixtures("copied")
def test_ties_and_writes_follow_a_tensor():
    built = Subject("model", innocent.Tied, device=ELSEWHERE)(0)
    module = built.module
    assert module.head.weight is module.embedding.weight
    address = module.embedding.weight.untyped_storage().data_ptr()
    assert address in built.random
    assert "innocent.py:" in built.lines[address]


def test_every_tensor_of_a_batch_is_moved(monkeypatch):
    moved = []
    monkeypatch.setattr(torch.Tensor, "to", lambda self, device: (moved.append(device), self)[1])
    batch = {"ids": torch.zeros(2), "more": (torch.ones(2), [torch.ones(1)]), "name": "first"}
    subject = Subject("model", nn.Identity, lambda: batch, device="elsewhere")
    found = subject.next_batch()
    assert moved == ["elsewhere"] * 3
    assert found["name"] == "first"


class Immovable(nn.Linear):
    """Refuses to leave the CPU."""

    def __init__(self):
        super().__init__(8, faulty.CLASSES)

    def to(self, *_):
        message = "it stays here"
        raise RuntimeError(message)


@pytest.mark.parametrize(
    ("build", "device", "sentence"),
    [
        (Immovable, ELSEWHERE, "moving the module to cpu:0 raised RuntimeError: it stays here"),
        (Immovable, "nowhere", "Device 'nowhere' was requested but cannot be used"),
        (Immovable, "hpu", "request only these with `--device cpu`"),
    ],
)
def test_a_device_that_cannot_be_used_is_refused_in_a_sentence(build, device, sentence):
    with pytest.raises(InspectionError) as error:
        inspect_model(build, device=device)
    assert sentence in str(error.value)


def test_the_generator_of_the_device_is_seeded(monkeypatch):
    """A build that draws on the device repeats its numbers for one seed."""
    seeded = []
    monkeypatch.setattr(
        "initcheck.devices.seed_generator", lambda name, seed: seeded.append((name, seed))
    )
    Subject("model", lambda: nn.Linear(2, 2), device=ELSEWHERE)(7)
    seed_everything(3)
    assert seeded == [(ELSEWHERE, 7), ("cpu", 3)]


class WrittenInVain(nn.Module):
    """The write to a computed weight is compared on the device to which it has moved."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(8, faulty.CLASSES)
        nn.utils.parametrizations.weight_norm(self.inner)
        self.inner.weight.data.normal_(0, 0.02)

    def forward(self, x):
        return self.inner(x)


@pytest.mark.usefixtures("copied")
def test_a_write_in_vain_is_found_on_another_device():
    (failed,) = inspect_model(WrittenInVain, device=ELSEWHERE).of_severity("fail")
    assert failed.check == "effect"
