"""Several processes of one run share the machine."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import torch

from initcheck import devices
from initcheck.devices import compute
from initcheck.plugin import session


@pytest.fixture
def taken(monkeypatch):
    """Which number took an accelerator; torch has its threads back afterwards."""
    numbers = []
    monkeypatch.setattr(devices, "show_one_accelerator", numbers.append)
    with compute.threads(8):
        yield numbers


@pytest.mark.parametrize(
    ("names", "numbers"),
    [(("auto",), [2]), (("cpu", "cuda"), [2]), (("cpu", "cuda:1"), [])],
    ids=["auto", "by type", "by number"],
)
def test_worker_takes_its_share_of_threads_and_accelerators(taken, names, numbers):
    worker = SimpleNamespace(workerinput={"workercount": 3, "workerid": "gw2"})
    assert session._share(worker, names) == 2
    assert torch.get_num_threads() == 2
    assert taken == numbers


def test_process_alone_keeps_all(taken):
    assert session._share(SimpleNamespace(), ("auto",)) == 8
    assert torch.get_num_threads() == 8
    assert taken == []


@pytest.mark.parametrize(
    ("visible", "count", "left"),
    [(None, 4, "2"), (None, 1, None), (None, 0, None), ("5,7", 2, "5"), ("GPU-1", 1, "GPU-1")],
)
def test_each_of_several_processes_finds_one_device(monkeypatch, visible, count, left):
    monkeypatch.setattr(os, "environ", {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    devices.show_one_accelerator(6)
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == left


@pytest.mark.parametrize("before", [None, "0"])
def test_asking_for_cuda_without_starting_it_is_for_a_while(monkeypatch, before):
    """Torch's optimizers ask at every step, and this way takes them a hundred microseconds."""
    name = "PYTORCH_NVML_BASED_CUDA_CHECK"
    monkeypatch.setattr(os, "environ", {} if before is None else {name: before})
    with devices.without_starting_accelerators():
        assert os.environ[name] == "1"
    assert os.environ.get(name) == before


def test_process_that_trains_on_the_cpu_finds_no_accelerator(
    monkeypatch,
):
    monkeypatch.setattr(os, "environ", {"CUDA_VISIBLE_DEVICES": "0,1"})
    devices.hide_accelerators()
    assert os.environ == {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""}
