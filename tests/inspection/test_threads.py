"""Modules whose tensors are written, or whose layers run, in other threads."""

# ruff: noqa: D101 -- a class here is named after what is odd about it

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from initcheck import inspect_model
from tests.inspection.faulty import CLASSES, rows


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
