"""What there is to run claims with: versions, devices, data, baselines."""

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
DATA = "mnist5k"  # what claims train on unless asked otherwise
COLUMNS, LABEL = 100, 18


@dataclass(frozen=True)
class Line:
    """One line of the report; ``broken`` where no claim can run like that."""

    label: str
    text: str
    broken: bool = False


def examine() -> list[Line]:
    """Everything a run depends on, each with what was found."""
    lines = [Line("python", f"{platform.python_version()} ({sys.executable})")]
    lines += [_package(name) for name in PACKAGES]
    lines.append(_pair())
    if not any(line.broken for line in lines):  # without torch there is nothing more to ask
        lines += [_threads(), *_devices(), _data(), _baselines()]
    return lines


def missing(lines: Sequence[Line], devices: Sequence[str] = ()) -> str:
    """A sentence on what has to be there and is not, or an empty text."""
    broken = [line.label for line in lines if line.broken]
    if broken:
        return f"No claim can run here until this is mended: {', '.join(broken)} (see above)."
    if devices:
        from initcheck.devices import DeviceError, require

        try:
            require(devices)
        except DeviceError as error:
            return str(error)
    return ""


def as_text(lines: Sequence[Line]) -> str:
    """The report in 100 columns, what is broken marked with an exclamation mark."""
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
        return Line(name, f"not installed; pip install {name}", broken=True)


def _pair() -> Line:
    """Whether torch and torchvision fit, asked of another process: a bad pair can crash it."""
    command = [sys.executable, "-c", "import torchvision; torchvision.ops.nms"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return Line("pair", "torch and torchvision work together")
    reason = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
    mend = "Install them together, so that pip picks a torchvision made for that torch."
    return Line(
        "pair", f"torch and torchvision do not work together: {reason}. {mend}", broken=True
    )


def _threads() -> Line:
    import torch

    return Line("threads", f"{torch.get_num_threads()} of {os.cpu_count()} processors")


def _devices() -> Iterator[Line]:
    from initcheck import devices

    for name in dict.fromkeys((*devices.available(), *devices.candidates())):
        found = devices.examine(name)
        text = f"works: {found.hardware}" if found.works else f"not usable: {found.reason}"
        yield Line(f"device {name}", text)


def _data() -> Line:
    from initcheck.datasets import load

    try:
        return Line(f"data {DATA}", f"loads, fingerprint {load(DATA).fingerprint}")
    except (ImportError, OSError, ValueError) as error:
        return Line(f"data {DATA}", str(error), broken=True)


def _baselines() -> Line:
    """The folder of limits and evidence that a run from here reads."""
    here = os.environ.get("INITCHECK_BASELINES") or "baselines"
    package = find_spec("initcheck_benchmarks")
    candidates = [Path(here)]
    if package is not None and package.origin is not None:
        candidates.append(Path(package.origin).with_name("baselines"))
    for folder in candidates:
        if (folder / "limits.toml").is_file():
            evidence = len(list(folder.glob("evidence/*.json")))
            return Line("baselines", f"{folder.resolve()}, evidence of {evidence} claims")
    return Line("baselines", "none here; --initcheck-baselines names a folder")
