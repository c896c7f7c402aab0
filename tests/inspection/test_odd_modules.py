"""Modules that are odd, or too large: judged, or named as not judged."""

# ruff: noqa: D101 -- a class here is named after what is odd about it

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from initcheck import inspect_model
from tests.helpers.projects import ROOT
from tests.inspection.faulty import CLASSES, rows

LIMITED = """
import resource, sys
import torch
from torch import nn
from initcheck.cli.main import main

def build():
    return nn.Linear(8192, 8192, bias=False)  # 256 MiB

def batch():
    return torch.randn(4, 8192), torch.zeros(4, 8192)

sys.modules["limited"] = sys.modules["__main__"]
with open("/proc/self/status") as file:
    (size,) = [int(line.split()[1]) for line in file if line.startswith("VmSize")]
resource.setrlimit(resource.RLIMIT_AS, ((size + {mebibytes} * 1024) * 1024,) * 2)
sys.exit(main(["inspect", "limited:build", "--batch", "limited:batch"]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS limits memory on Linux alone")
@pytest.mark.parametrize(
    ("mebibytes", "code", "sentence"),
    [
        (150, 4, "limited:build ran out of memory"),
        (450, 1, "not judged  written.*: limited:build ran out of memory"),
    ],
)
def test_too_little_memory_ends_in_a_sentence(mebibytes, code, sentence):
    program = LIMITED.replace("{mebibytes}", str(mebibytes))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=300,
        check=False, env=os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
    )  # fmt: skip
    output = done.stdout + done.stderr
    assert "Traceback" not in output
    assert re.search(sentence, output), output
    assert done.returncode == code


def _in_a_thread(write):
    thread = threading.Thread(target=write)
    thread.start()
    thread.join()


class UnsetInAThread(nn.Linear):
    def __init__(self):
        super().__init__(8, CLASSES)
        _in_a_thread(lambda: setattr(self, "bias", nn.Parameter(torch.empty(CLASSES))))


class CopiedUnitsInAThread(nn.Linear):
    def __init__(self):
        super().__init__(8, CLASSES)
        with torch.no_grad():
            self.weight.zero_()
        _in_a_thread(self.draw)

    def draw(self):
        self.weight.data.copy_(torch.randn(8).repeat(CLASSES, 1))


@pytest.mark.parametrize(
    ("build", "check"), [(UnsetInAThread, "written"), (CopiedUnitsInAThread, "units")]
)
def test_other_threads_are_watched(build, check):
    inspection = inspect_model(build, rows)
    assert check in {each.check for each in inspection.of_severity("fail", "warn")}


class SharedParts(nn.Module):
    """One layer under two names, and one parameter in two layers."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.again = self.first
        self.other = nn.Linear(8, 8)
        self.other.weight = self.first.weight
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.head(self.other(self.again(self.first(x).tanh())))


def test_shared_parts_are_judged_once():
    inspection = inspect_model(SharedParts, rows)
    assert [each.severity for each in inspection.findings] == ["note"], str(inspection)
    assert inspection.judged.parameters == inspection.judged.of_parameters == 5


class NanOutput(nn.Linear):
    """Divides by zero, as a norm without an epsilon does for equal inputs."""

    def __init__(self):
        super().__init__(8, CLASSES)

    def forward(self, x):
        return super().forward(x - x) / 0.0 * 0.0


def test_a_loss_that_is_nan_is_not_ok():
    inspection = inspect_model(NanOutput, rows)
    assert not inspection.ok
    assert "the loss is nan at step 1" in str(inspection)


def test_a_module_that_is_lazy_in_part_is_not_judged():
    inspection = inspect_model(lambda: nn.Sequential(nn.Linear(8, 8), nn.LazyLinear(3)), name="m")
    assert not inspection.ok
    assert inspection.judged.parameters == 0
    assert "not judged  all: lazy parameters" in str(inspection)


class Draws(nn.Module):
    """Its forward draws random numbers, changes its input, its buffers and its parameters."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, CLASSES)
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        x.mul_(torch.rand(()) + 1)
        self.count += 1
        with torch.no_grad():
            self.layer.bias.add_(0.1)
        return self.layer(x)


KEPT = rows()


@pytest.mark.parametrize("batch", [rows, lambda: KEPT])
def test_a_forward_with_side_effects_is_judged(batch):
    inspection = inspect_model(Draws, batch)
    assert inspection.ok, str(inspection)
    assert not inspection.of_severity("fail", "warn")
    assert inspection.wakes == {"layer.weight": 1, "layer.bias": 1}


_BUILT = []


def _once():
    _BUILT.append(1)
    if len(_BUILT) > 1:
        message = "the port is in use"
        raise OSError(message)
    return nn.Linear(8, CLASSES)


def test_a_build_that_succeeds_once_is_not_ok():
    _BUILT.clear()
    inspection = inspect_model(_once, name="once")
    assert not inspection.ok
    assert "once raised OSError: the port is in use" in str(inspection)


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


def test_why_a_module_cannot_be_built_on_meta_is_said():
    def reads():
        module = nn.Linear(8, CLASSES)
        float(module.weight.sum())
        return module

    assert "cannot be built on meta: model raised RuntimeError: Tensor.item()" in str(
        inspect_model(reads, name="model")
    )


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


def scripted():
    module = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, CLASSES))
    nn.init.zeros_(module[2].weight)
    return torch.jit.script(module)


def test_a_scripted_module_is_judged_but_for_its_layers():
    inspection = inspect_model(scripted, rows)
    assert inspection.wakes["0.weight"] == 2
    assert {each.check for each in inspection.not_judged} == {"written", "signal"}
    assert not any("could not run" in each.why for each in inspection.not_judged)


class NoItems(dict):
    """A table with another constructor, which cannot be listed."""

    def __init__(self, one, two):
        super().__init__({one: two})

    def items(self, how):
        raise TypeError(how)


def test_a_table_of_the_user_stops_no_check():
    def build():
        module = nn.Linear(8, CLASSES)
        module.table = NoItems("a", 1)
        return module

    inspection = inspect_model(build, rows)
    assert inspection.ok


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


def test_a_build_that_seeds_the_global_generator_is_noted():
    def build(seed):
        torch.manual_seed(seed)
        return nn.Linear(8, CLASSES)

    (finding,) = inspect_model(build, rows).findings
    assert (finding.check, finding.severity) == ("rebuilt", "note")
    assert "global generator" in finding.message


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


def test_what_a_reset_leaves_unset_is_worded_by_its_classes():
    def build():
        return nn.utils.parametrizations.spectral_norm(nn.Linear(8, CLASSES))

    assert "no reset_parameters of ParametrizationList and _SpectralNorm sets them" in str(
        inspect_model(build, name="model")
    )


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


def test_targets_may_be_bytes():
    inspection = inspect_model(
        lambda: nn.Linear(8, CLASSES), lambda: (rows()[0], rows()[1].to(torch.uint8))
    )
    assert not inspection.not_judged, str(inspection)


class Hides(nn.Linear):
    """Lists none of its parameters."""

    def named_parameters(self, *args, **kwargs):
        return iter(())


def test_not_more_is_judged_than_there_is():
    judged = inspect_model(lambda: Hides(8, CLASSES)).judged
    assert judged.parameters == judged.of_parameters == 2


class Threaded(nn.Linear):
    """Its only layer runs in another thread, as under DataParallel."""

    def __init__(self):
        super().__init__(8, CLASSES)
        self.inner = nn.Linear(8, 8)

    def forward(self, x):
        results = []
        _in_a_thread(lambda: results.append(self.inner(x)))
        return super().forward(results[0])


def test_layers_in_other_threads_are_not_compared_with_float64(capfd):
    inspection = inspect_model(Threaded, rows)
    assert not inspection.of_severity("fail", "warn"), str(inspection)
    assert "first_gradient: It cannot be computed in float64: Its layers run in other" in str(
        inspection
    )
    assert "Traceback" not in capfd.readouterr().err
