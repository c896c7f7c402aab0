"""Modules that are odd, or too large: judged, or named as not judged."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
import torch
from torch import nn

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


def test_a_build_that_seeds_the_global_generator_is_noted():
    def build(seed):
        torch.manual_seed(seed)
        return nn.Linear(8, CLASSES)

    (finding,) = inspect_model(build, rows).findings
    assert (finding.check, finding.severity) == ("rebuilt", "note")
    assert "global generator" in finding.message


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
