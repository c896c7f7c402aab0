"""Devices: which ones are there and really compute, told by asking them, never by believing them.

This is the only file that knows the names of accelerators; everywhere else a device is an opaque
string such as "cpu" or one that `available` returned. It chooses no device silently: what `require`
is asked for must work.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import platform
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from initcheck import forks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROBE_SIZE = 32  # rows of the probed product: more than one tile of any matrix unit, yet free
XLA_ON_CPU = "XLA on CPU"
ASK_NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"  # or whether there is CUDA is asked by starting it
VISIBLE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")  # which devices a process finds
PATIENCE = 120.0  # seconds for a device to say whether it computes; a cold driver takes some


class DeviceError(RuntimeError):
    """A device asked for is missing or cannot compute; the text says which, why, what mends it."""


class _UnusableError(Exception):
    """Why a device failed one step of `examine`; its text becomes `Finding.reason`."""


@dataclass(frozen=True)
class Finding:
    """What `examine` found out about one device."""

    name: str
    works: bool
    reason: str  # a sentence where the device does not work, else empty
    hardware: str  # for example "NVIDIA H100"; empty where the device does not work
    details: Mapping[str, Any] = field(default_factory=dict, compare=False)  # of `describe`


# ---- which devices work ------------------------------------------------------------------------


@functools.cache
def examine(name: str) -> Finding:
    """Find out in three steps whether `name` computes: it is available, counts, multiplies rightly.

    Accepts "cpu", "cuda", "cuda:1", "mps", "xpu", "xla" and any backend registered with torch.
    Never raises for a device that fails: the finding carries the reason. Asked once a process: the
    answer is kept. Where processes can be forked, one that is forked starts the accelerator, so
    that it is asleep here until something is trained on it.
    """
    if not _asleep(name):
        return _examine(name)
    try:
        finding = forks.answer(functools.partial(_examine, name), PATIENCE)
    except forks.ForkError as error:
        reason = f"The process that multiplied on it {error}."
        return Finding(name, works=False, reason=reason, hardware="")
    # Whatever asked the driver before us may have spoilt it for a forked process, but not for us.
    return finding if finding.works else _examine(name)


def forkable() -> bool:
    """Whether a forked process could train: not one whose parent has started an accelerator.

    Autograd asks every accelerator that it finds for a thread, and there it fails, on the CPU too.
    """
    return forks.possible() and not any(map(_awake, candidates()))


def _awake(name: str) -> bool:
    """Whether this process has started an accelerator, as far as its backend says."""
    try:
        return bool(_backend(_parse(name).type).is_initialized())
    except Exception:  # noqa: BLE001 -- third-party backends raise what they like, or do not say
        return False


def _asleep(name: str) -> bool:
    """Whether an accelerator is there that says of itself that this process has not started it."""
    os.environ.setdefault(ASK_NVML, "1")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `_examine` gathers them
            device = _parse(name)
            there = device.type != "cpu" and _is_available(_backend(device.type))
            return forks.possible() and there and not _backend(device.type).is_initialized()
    except Exception:  # noqa: BLE001 -- third-party backends raise what they like, or do not say
        return False


def _examine(name: str) -> Finding:
    """All of `examine` in this process."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # backends explain in a warning why they are unavailable
        try:
            device = _parse(name)
            _check_available(device)
            _check_count(device)
            _check_product(name)
        except _UnusableError as error:
            hints = [f"It warns: {_said(warning.message)}." for warning in caught]
            return Finding(name, works=False, reason=" ".join([str(error), *hints]), hardware="")
        details = {"name": name, "type": device.type, "hardware": _hardware(device)}
        details |= _details(device)
        return Finding(name, works=True, reason="", hardware=details["hardware"], details=details)


def available() -> tuple[str, ...]:
    """Names of the devices that compute, the CPU first; one name a backend, without an index.

    XLA on its CPU client is left out: a second compiler for the same processor, to be asked for.
    """
    findings = [examine(name) for name in ("cpu", *candidates())]
    return tuple(f.name for f in findings if f.works and f.hardware != XLA_ON_CPU)


def require(names: Sequence[str]) -> tuple[str, ...]:
    """Return `names` in their order without duplicates, "auto" replaced by `available()`.

    Raises:
        DeviceError: no name was given, or a named device is missing or computes wrongly.
    """
    if not names:
        raise DeviceError("No device was asked for; ask for one with `--initcheck-device cpu`.")
    asked = [each for name in names for each in (available() if name == "auto" else (name,))]
    failing = [finding for name in dict.fromkeys(asked) if not (finding := examine(name)).works]
    if failing:
        raise DeviceError(_explain(failing))
    unique: dict[tuple[str, int], str] = {}
    for name in asked:
        device = _parse(name)
        unique.setdefault((device.type, device.index or 0), name)  # "cuda" and "cuda:0" are one
    return tuple(unique.values())


def _explain(failing: Sequence[Finding]) -> str:
    there = ",".join(available())
    reasons = " ".join(
        f"Device '{f.name}' was asked for and cannot be used. {f.reason}" for f in failing
    )
    return (
        f"{reasons} Devices that work here: {there}. Run `initcheck doctor` to see every device, "
        f"or ask for what is there with `--initcheck-device {there}`."
    )


def candidates() -> tuple[str, ...]:
    """Accelerators worth examining: torch's current one, then those it may not know of."""
    names = [*_current_accelerator(), "cuda", "mps", "xpu"]
    if importlib.util.find_spec("torch_xla") is not None:
        names.append("xla")
    return tuple(dict.fromkeys(name for name in names if name != "cpu"))


def _current_accelerator() -> tuple[str, ...]:
    # torch.accelerator exists since 2.6. It may name a backend without hardware; `examine` finds
    # that out, so check_available (since 2.7) is not needed.
    if not hasattr(torch, "accelerator"):
        return ()
    try:
        device = torch.accelerator.current_accelerator()
    except RuntimeError:
        return ()
    return () if device is None else (device.type,)


# ---- the three steps ---------------------------------------------------------------------------


def _parse(name: str) -> torch.device:
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise _UnusableError(f"Torch {torch.__version__} knows no device of this name.") from error


def _check_available(device: torch.device) -> None:
    if device.type == "cpu":
        return
    try:
        works = _is_available(_backend(device.type))
    except Exception as error:  # third-party backends raise what they like
        raise _UnusableError(f"Its backend does not load ({_said(error)}).") from error
    if not works:
        raise _UnusableError(
            f"Torch {torch.__version__} finds the backend '{device.type}' unavailable "
            "(no such hardware, no driver, or a build of torch without it)."
        )


def _check_count(device: torch.device) -> None:
    count = 1 if device.type == "cpu" else _count(device)
    if count == 0:
        raise _UnusableError(f"The backend '{device.type}' is available but counts 0 devices.")
    if (device.index or 0) >= count:
        raise _UnusableError(
            f"The backend '{device.type}' counts {count} device(s), numbered from 0."
        )


def _check_product(name: str) -> None:
    expected = _integers() @ _integers()
    try:
        found = _product(name)
    except Exception as error:  # drivers raise what they like, AssertionError included
        raise _UnusableError(f"It fails at a small matrix product ({_said(error)}).") from error
    wrong = int((found != expected).sum())
    if wrong:
        raise _UnusableError(
            f"It computes a small matrix product wrongly, in {wrong} of {expected.numel()} numbers."
        )


def _integers() -> torch.Tensor:
    """(PROBE_SIZE, PROBE_SIZE) int64, entries -2 to 2: products exact even in bfloat16."""
    rows, columns = torch.arange(PROBE_SIZE)[:, None], torch.arange(PROBE_SIZE)[None, :]
    return (3 * rows + 7 * columns + rows * columns) % 5 - 2


def _product(name: str) -> torch.Tensor:
    factor = _integers().to(torch.float32).to(name)
    return (factor @ factor).to("cpu").to(torch.int64)


def _backend(kind: str) -> Any:
    if kind == "xla":
        return importlib.import_module("torch_xla")
    return torch.get_device_module(kind)


def _is_available(backend: Any) -> bool:
    # torch_xla is available once it imports; torch.mps learned `is_available` late.
    if backend.__name__ == "torch.mps":
        return torch.backends.mps.is_available()
    return bool(backend.is_available()) if hasattr(backend, "is_available") else True


def _count(device: torch.device) -> int:
    try:
        return int(_backend(device.type).device_count())
    except Exception as error:  # the first call that touches the hardware
        raise _UnusableError(f"Its devices cannot be counted ({_said(error)}).") from error


def _said(error: Warning | Exception | str) -> str:
    """First line of a message, without its full stop: backends go on for pages."""
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__


# ---- what a device is --------------------------------------------------------------------------


def describe(name: str) -> dict[str, str | int]:
    """Name, type, hardware of a device, and driver, capability, memory in bytes where torch knows.

    Raises:
        DeviceError: the device does not work.
    """
    finding = examine(name)
    if not finding.works:
        raise DeviceError(_explain([finding]))
    return {key: value for key, value in finding.details.items() if value not in ("", None)}


def _details(device: torch.device) -> dict[str, Any]:
    if device.type == "cpu":
        return {"capability": torch.backends.cpu.get_cpu_capability()}
    if device.type == "mps":
        return {"driver": f"macOS {platform.mac_ver()[0]}"}
    if device.type == "xla":
        return {"driver": f"torch_xla {_backend('xla').__version__}"}
    properties = _properties(device)
    details = {
        "driver": getattr(properties, "driver_version", None) or _nvidia_driver(),
        "memory_bytes": getattr(properties, "total_memory", None),
    }
    if device.type == "cuda":
        details["capability"] = f"{properties.major}.{properties.minor}"
        hip, cuda = torch.version.hip, torch.version.cuda
        details["runtime"] = f"ROCm {hip}" if hip else f"CUDA {cuda}"
    return details


def _hardware(device: torch.device) -> str:
    if device.type == "cpu":
        return _processor()
    if device.type == "mps":
        return f"{platform.processor() or platform.machine()} GPU"
    if device.type == "xla":
        return f"XLA on {importlib.import_module('torch_xla.runtime').device_type()}"
    return str(getattr(_properties(device), "name", device.type))


def _properties(device: torch.device) -> Any:
    """Return the backend's properties object, or None for a backend that has none."""
    ask = getattr(_backend(device.type), "get_device_properties", None)
    return None if ask is None else ask(device)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine()


def _nvidia_driver() -> str:
    # torch has no public way to ask for the driver's version; the kernel module's first line tells,
    # as "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar ...".
    try:
        line = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        return ""
    return next((word for word in line.split() if word[0].isdigit() and "." in word), "")


def has_float64(name: str) -> bool:
    """Whether the device computes in float64; where not, probes that need it go to the CPU."""
    device = torch.device(name)
    if device.type == "mps":
        return False
    if device.type == "xpu":
        return bool(getattr(_properties(device), "has_fp64", True))
    return True


# ---- waiting -----------------------------------------------------------------------------------


def synchronize(name: str) -> None:
    """Wait until all work given to the device is done; nothing to wait for on the CPU."""
    device = torch.device(name)
    if device.type == "cpu":
        return
    if device.type == "xla":
        end_step(name)
        importlib.import_module("torch_xla.core.xla_model").wait_device_ops()
    elif device.type == "mps":
        torch.mps.synchronize()  # takes no device, there is only one
    else:
        _backend(device.type).synchronize(device)


@contextmanager
def own_random_state(name: str, seed: int) -> Iterator[None]:
    """Seed an accelerator's global generator, and put it back afterwards; not XLA's."""
    device = torch.device(name)
    if device.type in ("cpu", "xla"):
        yield
        return
    backend = _backend(device.type)
    which = () if device.type == "mps" else (device,)  # there is only one
    before = backend.get_rng_state(*which)
    backend.set_rng_state(torch.Generator(device).manual_seed(seed).get_state(), *which)
    try:
        yield
    finally:
        backend.set_rng_state(before, *which)


def hide_accelerators() -> None:
    """In a forked process that trains on the CPU: let it find no accelerator to start a context on.

    Autograd asks every accelerator that it finds for a thread, whatever is trained.
    """
    os.environ.update(dict.fromkeys(VISIBLE, ""))


def take_one(number: int) -> None:
    """Let this process, the one of this number among several, find one of the CUDA devices alone.

    Before it starts CUDA; where there is one device or none nothing changes.
    """
    os.environ.setdefault(ASK_NVML, "1")
    named = [name for name in os.environ.get(VISIBLE[0], "").split(",") if name]
    there = named or [str(index) for index in range(torch.cuda.device_count())]
    if len(there) > 1:
        os.environ[VISIBLE[0]] = there[number % len(there)]


def end_step(name: str) -> None:
    """Cut the graph that a lazy backend (XLA) collects, so it stays one step long; else a no-op."""
    if torch.device(name).type == "xla":
        _backend("xla").sync()


def peak_memory(name: str) -> int | None:
    """Largest memory in bytes since the process began, or None where it is not known.

    On an accelerator, what torch allocated; on the CPU, the resident set of the whole process.
    """
    device = torch.device(name)
    if device.type == "cpu":
        return _peak_resident()
    ask = getattr(_backend(device.type), "max_memory_allocated", None)
    return None if ask is None else int(ask(device))


def _peak_resident() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


# ---- how it multiplies -------------------------------------------------------------------------


def product_switches() -> Any:
    """Return torch's switches for an accelerator's matrix products, for `arithmetic` to set."""
    return torch.backends.cuda.matmul
