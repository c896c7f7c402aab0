"""The hardware of a device: its name, driver, capability and memory."""

from __future__ import annotations

import importlib
import platform
from pathlib import Path
from typing import Any

import torch

from initcheck.devices import backends


def details(device: torch.device) -> dict[str, Any]:
    """Return the driver, capability, runtime and memory in bytes, as far as torch knows them."""
    if device.type == "cpu":
        return {"capability": torch.backends.cpu.get_cpu_capability()}
    if device.type == "mps":
        return {"driver": f"macOS {platform.mac_ver()[0]}"}
    if device.type == "xla":
        return {"driver": f"torch_xla {backends.module_of('xla').__version__}"}
    properties = backends.properties(device)
    known = {
        "driver": getattr(properties, "driver_version", None) or _nvidia_driver(),
        "memory_bytes": getattr(properties, "total_memory", None),
    }
    if device.type == "cuda":
        known["capability"] = f"{properties.major}.{properties.minor}"
        hip, cuda = torch.version.hip, torch.version.cuda
        known["runtime"] = f"ROCm {hip}" if hip else f"CUDA {cuda}"
    return known


def name(device: torch.device) -> str:
    """Return the name of the hardware, for example "NVIDIA H100"."""
    if device.type == "cpu":
        return _processor()
    if device.type == "mps":
        return f"{platform.processor() or platform.machine()} GPU"
    if device.type == "xla":
        return f"XLA on {importlib.import_module('torch_xla.runtime').device_type()}"
    return str(getattr(backends.properties(device), "name", device.type))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine()


def _nvidia_driver() -> str:
    # torch has no public function for the driver's version. The first line of this file has it:
    # "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar ...".
    try:
        line = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        return ""
    return next((word for word in line.split() if word[0].isdigit() and "." in word), "")
