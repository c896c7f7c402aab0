"""Codebooks, compiled and scripted modules, packed sequences, and layers that are used twice."""

# ruff: noqa: D101 -- a class here is named after what is odd about it

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from initcheck import inspect_model
from tests.inspection.faulty import CLASSES, rows


class QuantizedByCodes(nn.Module):
    """A codebook that a moving average changes, next to its own copy, behind a straight-through."""

    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(8, 4), nn.Linear(4, CLASSES)
        codes = torch.randn(6, 4)
        self.codes = nn.Parameter(codes, requires_grad=False)
        self.register_buffer("sums", codes.clone())
        self.register_buffer("counts", torch.zeros(6))

    def forward(self, x):
        inner = self.layer(x)
        chosen = self.codes[torch.cdist(inner, self.codes).argmin(1)]
        return self.head(inner + (chosen - inner).detach())


class TrainedCodes(QuantizedByCodes):
    """A trainable codebook, pulled to what it encodes; most codes are chosen by nothing."""

    def __init__(self):
        super().__init__()
        self.codes = nn.Parameter(torch.empty(64, 4).uniform_(-1 / 64, 1 / 64))


class SumsAsParameters(QuantizedByCodes):
    """The copy is a parameter, too, as in many recipes."""

    def __init__(self):
        super().__init__()
        self.codes = nn.Parameter(torch.randn(6, 4))
        self.moved = nn.Parameter(self.codes.detach().clone())


@pytest.mark.parametrize("build", [QuantizedByCodes, TrainedCodes])
def test_codebooks_are_right(build):
    inspection = inspect_model(build, rows)
    assert not inspection.of_severity("fail", "warn"), str(inspection)


def test_a_trainable_copy_of_a_codebook_is_noted():
    """The loss moves neither, so they need not part."""
    inspection = inspect_model(SumsAsParameters, rows)
    assert not inspection.of_severity("fail", "warn"), str(inspection)
    assert "distinct" in {each.check for each in inspection.of_severity("note")}


def icnr():
    """A convolution before a pixel shuffle whose four filters of a block start equal."""
    module = nn.Sequential(nn.Conv2d(3, 12, 3), nn.PixelShuffle(2))
    kernels = torch.randn(3, 3, 3, 3)
    with torch.no_grad():
        module[0].weight.copy_(kernels.repeat_interleave(4, dim=0))
    return module


def test_rows_before_a_pixel_shuffle_are_a_note():
    (finding,) = inspect_model(icnr).findings
    assert (finding.check, finding.severity) == ("units", "note")
    assert "Each of 3 rows is repeated 4 times in a run, as ICNR" in finding.message


def scripted():
    module = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, CLASSES))
    nn.init.zeros_(module[2].weight)
    return torch.jit.script(module)


def test_a_scripted_module_is_judged_but_for_its_layers():
    inspection = inspect_model(scripted, rows)
    assert inspection.wakes["0.weight"] == 2
    assert {each.check for each in inspection.not_judged} == {"written", "signal"}
    assert not any("could not run" in each.why for each in inspection.not_judged)


def compiled():
    return torch.compile(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES)))


def test_a_compiled_module_runs_as_it_is_written():
    """Compiling it would take minutes, and trace the checks."""
    import torch._dynamo.utils as of_dynamo  # slow to import

    of_dynamo.counters.clear()
    inspection = inspect_model(compiled, rows)
    assert inspection.ok
    assert not inspection.findings, str(inspection)
    assert inspection.judged.parameters == 4
    assert not of_dynamo.counters["frames"]


class Mapped(nn.Module):
    """Its layers run inside vmap, where no hook can read numbers."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x):
        return torch.vmap(lambda row: self.head(self.inner(row).relu()))(x)


def test_a_module_that_maps_its_layers_is_judged_but_for_their_signals():
    inspection = inspect_model(Mapped, rows)
    assert inspection.ok, str(inspection)
    assert [each.check for each in inspection.not_judged] == ["signal"]
    assert "start_loss" in inspection.judged.checks


class UsedTwice(Mapped):
    """One layer inside a checkpoint, whose backward pass is nested, and outside of it."""

    def forward(self, x):
        inner = checkpoint(lambda z: self.inner(z).tanh(), self.inner(x), use_reentrant=True)
        return self.head(inner)


def test_both_parts_of_a_gradient_through_a_checkpoint_count():
    inspection = inspect_model(UsedTwice, rows)
    assert not inspection.findings, str(inspection)
    assert not inspection.not_judged, str(inspection)


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRU(8, 8), nn.Linear(8, CLASSES)

    def forward(self, sequences):
        return self.head(self.cell(sequences)[1][-1])


def _sequences():
    generator = torch.Generator().manual_seed(3)
    drawn = [torch.randn(length, 8, generator=generator) for length in (4, 3, 1)]
    return nn.utils.rnn.pack_sequence(drawn), torch.tensor([0, 2, 1])


def test_packed_sequences_are_one_input():
    inspection = inspect_model(Packed, _sequences)
    assert inspection.ok, str(inspection)
    assert inspection.wakes["cell.weight_ih_l0"] == 1
