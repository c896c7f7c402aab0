"""What a device is, in words; and that no other package names one."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from initcheck import devices
from initcheck.devices import (
    DeviceError,
    available,
    describe,
    detect,
    examine,
    hardware,
    require,
)
from tests.devices.conftest import FAKE, raising

if TYPE_CHECKING:
    from collections.abc import Callable


def test_describe_cpu() -> None:
    described = describe("cpu")
    assert described["name"] == described["type"] == "cpu"
    assert described["hardware"] == examine("cpu").hardware
    assert described["capability"]


def test_describe_gives_driver_and_memory_of_an_accelerator(
    fake: Callable[..., SimpleNamespace],
) -> None:
    fake()
    assert describe(f"{FAKE}:1") == {
        "name": f"{FAKE}:1",
        "type": FAKE,
        "hardware": "Fake 9000",
        "driver": "1.2",
        "memory_bytes": 64,
    }


def test_describe_refuses_a_device_that_does_not_work() -> None:
    with pytest.raises(DeviceError, match="'nonsense' was requested"):
        describe("nonsense")


def test_the_processor_has_a_name_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", raising(OSError()))
    assert hardware._processor()


def test_the_nvidia_driver_version_is_read_from_the_kernel_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024"
    monkeypatch.setattr(Path, "read_text", lambda *_args, **_more: line + "\nGCC version: 12.2.0\n")
    assert hardware._nvidia_driver() == "550.54.15"


@pytest.mark.parametrize("name", ["cpu", FAKE, "cuda", "nonsense"])
def test_examining_leaves_the_environment_unchanged(name: str) -> None:
    before = dict(os.environ)
    examine(name)
    assert dict(os.environ) == before


@pytest.mark.parametrize(("hardware", "listed"), [("TPU", True), ("CPU", False)])
def test_xla_is_automatic_only_if_it_drives_other_hardware(
    monkeypatch: pytest.MonkeyPatch, hardware: str, listed: bool
) -> None:
    cpu = examine("cpu")
    xla = detect.Finding("xla", works=True, reason="", hardware=f"XLA on {hardware}")
    monkeypatch.setattr(detect, "candidates", lambda: ("xla",))
    monkeypatch.setattr(detect, "examine", {"cpu": cpu, "xla": xla}.__getitem__)
    assert ("xla" in available()) is listed
    assert require(["xla"]) == ("xla",)


# ---- only this package names them ----------------------------------------------------------------


def test_no_other_package_names_an_accelerator() -> None:
    """Everywhere else a device is an opaque string."""
    here = Path(devices.__file__).parent
    guilty = [
        path.name
        for path in here.parent.rglob("*.py")
        if path.parent != here
        for word in ("cuda", "torch.mps", "torch.xpu", "torch_xla")
        if word in path.read_text(encoding="utf-8")
    ]
    assert guilty == []
