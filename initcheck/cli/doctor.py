"""``initcheck doctor``: the versions, devices, data and baselines that claims would run with."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "pytest", "pytest-benchmark")
DATA = "mnist5k"  # the data set of claims that name no other
COLUMNS, LABEL = 80, 18


@dataclass(frozen=True)
class Line:
    """One line of the report; ``broken`` if no claim can run until it is fixed."""

    label: str
    text: str
    broken: bool = False


def examine() -> list[Line]:
    """Check Python, packages, threads, devices, data and baselines: a line on each.

    A line says what is there, and whether it is broken. If a package is broken, the rest is not
    checked, since that needs torch.
    """
    lines = [Line("python", f"{platform.python_version()} ({sys.executable})")]
    lines += [_package(name) for name in PACKAGES]
    lines.append(_pair())
    if not any(line.broken for line in lines):  # the rest needs torch
        lines += [_threads(), *_devices(), _data(), _baselines()]
    return lines


def missing(lines: Sequence[Line], devices: Sequence[str] = ()) -> str:
    """A sentence that names what is missing and needed, or an empty text."""
    broken = [line.label for line in lines if line.broken]
    if broken:
        return f"No claim can run here until this is fixed: {', '.join(broken)} (see above)."
    if devices:
        from initcheck.devices import DeviceError, require

        try:
            require(devices)
        except DeviceError as error:
            return str(error)
    return ""


def as_text(lines: Sequence[Line]) -> str:
    """The report in 80 columns; an exclamation mark marks what is broken."""
    indent = " " * (LABEL + 2)
    return "\n".join(
        textwrap.fill(
            f"{'! ' if line.broken else '  '}{line.label:<{LABEL}}{line.text}",
            COLUMNS,
            subsequent_indent=indent,
            break_on_hyphens=False,
        )
        for line in lines
    )


def _package(name: str) -> Line:
    try:
        return Line(name, version(name))
    except PackageNotFoundError:
        return Line(name, f"not installed. Run `pip install {name}`.", broken=True)


def _pair() -> Line:
    """Whether torch and torchvision fit, tried in another process: a bad pair can crash it."""
    command = [sys.executable, "-c", "import torchvision; torchvision.ops.nms"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return Line("pair", "torch and torchvision work together")
    reason = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    return Line(
        "pair",
        f"torch and torchvision do not work together: {reason}. Install both in one command, so "
        "that pip chooses a torchvision made for that torch.",
        broken=True,
    )


def _threads() -> Line:
    import torch

    return Line("threads", f"{torch.get_num_threads()} of {os.cpu_count()} processors")


def _devices() -> Iterator[Line]:
    from initcheck import devices

    for name in dict.fromkeys((*devices.available(), *devices.candidates())):
        device = devices.examine(name)
        text = f"works: {device.hardware}" if device.works else f"not usable: {device.reason}"
        yield Line(f"device {name}", text)


def _data() -> Line:
    from initcheck.datasets import load

    try:
        return Line(f"data {DATA}", f"loads, fingerprint {load(DATA).fingerprint}")
    except (ImportError, OSError, ValueError) as error:
        return Line(f"data {DATA}", str(error), broken=True)


def _baselines() -> Line:
    """The folder of limits and evidence that a run from the current folder reads."""
    from initcheck.report.formatting import counted

    candidates = [Path(os.environ.get("INITCHECK_BASELINES") or "baselines")]
    package = find_spec("initcheck_benchmarks")
    if package is not None and package.origin is not None:
        candidates.append(Path(package.origin).with_name("baselines"))
    for folder in candidates:
        if (folder / "limits.toml").is_file():
            evidence = len(list(folder.glob("evidence/*.json")))
            claims = counted(evidence, "claim")
            return Line("baselines", f"{folder.resolve()}, evidence of {claims}")
    return Line(
        "baselines",
        "none here. Set INITCHECK_BASELINES to a folder that has limits.toml, or run this command "
        "next to one.",
    )
