"""Parameters and buffers that a call or a forward pass makes, and what a reset leaves unset."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from initcheck import inspect_model
from tests.inspection.faulty import CLASSES, rows


class MadeLater(nn.Module):
    """A plain parameter whose shape is taken from the first input."""

    def __init__(self):
        super().__init__()
        self.head, self.gain = nn.Linear(8, CLASSES), None

    def forward(self, x):
        if self.gain is None:
            self.gain = nn.Parameter(torch.ones(x.shape[-1]))
        return self.head(self.gain * x)


class MadeAgain(MadeLater):
    """A parameter that every forward pass replaces."""

    def forward(self, x):
        self.head.weight = nn.Parameter(self.head.weight + 0.1)
        return self.head(x)


@pytest.mark.parametrize(("build", "name"), [(MadeLater, "gain"), (MadeAgain, "head.weight")])
def test_a_parameter_that_the_forward_pass_makes_is_named(build, name):
    inspection = inspect_model(build, rows)
    (not_judged,) = [each for each in inspection.not_judged if each.what == name]
    assert "the forward pass makes it" in not_judged.why


def test_a_parameter_that_is_made_by_a_call_in_the_build_is_judged():
    def build():
        module = MadeLater()
        module(rows()[0])
        return module

    inspection = inspect_model(build, rows)
    assert not inspection.not_judged, str(inspection)
    assert inspection.judged.parameters == 3


class FilledLater(nn.Linear):
    """A buffer of which the first forward pass writes as much as it is asked to."""

    def __init__(self, entries):
        super().__init__(8, CLASSES)
        self.entries = entries
        self.register_buffer("places", torch.empty(8))

    def forward(self, x):
        self.places[: self.entries] = torch.arange(1.0 * self.entries)
        return super().forward(x + self.places)


@pytest.mark.parametrize(
    ("entries", "batch", "severity"), [(8, rows, "note"), (7, rows, "fail"), (8, None, "fail")]
)
def test_a_buffer_that_the_first_pass_fills_is_a_note(entries, batch, severity):
    inspection = inspect_model(lambda: FilledLater(entries), batch, name="model")
    (finding,) = [each for each in inspection.findings if each.check == "written"]
    assert (finding.severity, finding.parameters) == (severity, ("places",))


def test_why_a_module_cannot_be_built_on_meta_is_said():
    def reads():
        module = nn.Linear(8, CLASSES)
        float(module.weight.sum())
        return module

    assert "cannot be built on meta: model raised RuntimeError: Tensor.item()" in str(
        inspect_model(reads, name="model")
    )


def test_what_a_reset_leaves_unset_is_worded_by_its_classes():
    def build():
        return nn.utils.parametrizations.spectral_norm(nn.Linear(8, CLASSES))

    assert "no reset_parameters of ParametrizationList and _SpectralNorm sets them" in str(
        inspect_model(build, name="model")
    )
