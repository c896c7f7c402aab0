"""Several processes of one run share the machine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from initcheck import arithmetic, devices, session


@pytest.fixture
def taken(monkeypatch):
    """Which number took an accelerator; torch has its threads back afterwards."""
    numbers = []
    monkeypatch.setattr(devices, "take_one", numbers.append)
    with arithmetic.threads(8):
        yield numbers


def test_worker_takes_its_share_of_threads_and_accelerators(taken):
    worker = SimpleNamespace(workerinput={"workercount": 3, "workerid": "gw2"})
    assert session._share(worker) == 2
    assert torch.get_num_threads() == 2
    assert taken == [2]


def test_process_alone_keeps_all(taken):
    assert session._share(SimpleNamespace()) == 8
    assert torch.get_num_threads() == 8
    assert taken == []
