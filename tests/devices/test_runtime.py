"""Operations on devices call each backend through its own interface."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from initcheck.devices import (
    backends,
    end_step,
    fused_optimizers,
    has_float64,
    measures,
    peak_memory,
    synchronize,
)

FAKE = "xpu"  # a device type that every torch can name and no test machine has


@pytest.fixture
def fake(monkeypatch):
    """A backend with these attributes, for every type of device."""
    return lambda **attributes: monkeypatch.setattr(
        backends, "module_of", lambda kind: SimpleNamespace(**attributes)
    )


def test_only_some_devices_lack_float64(fake):
    assert has_float64("cpu")
    assert not has_float64("mps")
    fake(get_device_properties=lambda _device: SimpleNamespace(has_fp64=False))
    assert not has_float64(FAKE)


def test_probes_measure_where_float64_is_and_each_operation_runs_at_once(fake):
    assert measures("cpu")
    assert not measures("mps")
    assert has_float64("xla:0")
    assert not measures("xla:0")
    fake(get_device_properties=lambda _device: SimpleNamespace(has_fp64=True))
    assert measures(FAKE)


def test_optimizers_are_fused_if_every_supported_torch_can():
    """Adagrad on the CPU only, and none whose kernels differ between releases of torch."""
    assert fused_optimizers("cpu") - fused_optimizers("cuda:1") == {"Adagrad"}
    assert fused_optimizers("cuda:1") == {"SGD", "Adam", "AdamW"}
    assert not fused_optimizers("xla") | fused_optimizers("mps") | fused_optimizers(FAKE)


def test_synchronize_asks_the_named_device(fake):
    calls = []
    fake(synchronize=calls.append)
    synchronize("cpu")
    synchronize(f"{FAKE}:1")
    assert calls == [torch.device(FAKE, 1)]


def test_end_step_ends_the_graph_of_a_lazy_backend_only(monkeypatch):
    cuts = []
    lazy = SimpleNamespace(sync=lambda: cuts.append("cut"))
    monkeypatch.setattr(backends, "module_of", {"xla": lazy}.__getitem__)
    end_step("cpu")
    assert cuts == []
    end_step("xla")
    assert cuts == ["cut"]


def test_peak_memory_of_the_cpu_is_that_of_this_process():
    peak = peak_memory("cpu")
    assert peak is None or 2**25 < peak < 2**40  # torch alone takes more than 32 MiB


def test_peak_memory_of_an_accelerator_is_what_its_backend_reports(fake):
    fake(max_memory_allocated=lambda _device: 77)
    assert peak_memory(FAKE) == 77


def test_peak_memory_is_unknown_if_the_backend_does_not_count(fake):
    fake()
    assert peak_memory(FAKE) is None
