"""Which devices are there and really compute, told by asking them, never by believing them.

It chooses no device silently: what `require` is asked for must work.
"""

from __future__ import annotations

import functools
import importlib.util
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from initcheck.devices import backends, forks, hardware
from initcheck.devices.backends import UnusableError, said
from initcheck.devices.visibility import letting_sleep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROBE_SIZE = 32  # rows of the probed product: more than one tile of any matrix unit, yet free
XLA_ON_CPU = "XLA on CPU"
PATIENCE = 120.0  # seconds for a device to say whether it computes; a cold driver takes some


class DeviceError(RuntimeError):
    """A device asked for is missing or cannot compute; the text says which, why, what mends it."""


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
        return bool(backends.named(backends.parse(name).type).is_initialized())
    except Exception:  # noqa: BLE001 -- third-party backends raise what they like, or do not say
        return False


def _asleep(name: str) -> bool:
    """Whether an accelerator is there that says of itself that this process has not started it."""
    try:
        with letting_sleep(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `_examine` gathers them
            device = backends.parse(name)
            there = device.type != "cpu" and backends.is_available(backends.named(device.type))
            return forks.possible() and there and not backends.named(device.type).is_initialized()
    except Exception:  # noqa: BLE001 -- third-party backends raise what they like, or do not say
        return False


def _examine(name: str) -> Finding:
    """All of `examine` in this process."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # backends explain in a warning why they are unavailable
        try:
            device = backends.parse(name)
            _check_available(device)
            _check_count(device)
            _check_product(name)
        except UnusableError as error:
            hints = [f"It warns: {said(warning.message)}." for warning in caught]
            return Finding(name, works=False, reason=" ".join([str(error), *hints]), hardware="")
        details = {"name": name, "type": device.type, "hardware": hardware.name(device)}
        details |= hardware.details(device)
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
        device = backends.parse(name)
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


def _check_available(device: torch.device) -> None:
    if device.type == "cpu":
        return
    try:
        works = backends.is_available(backends.named(device.type))
    except Exception as error:  # third-party backends raise what they like
        raise UnusableError(f"Its backend does not load ({said(error)}).") from error
    if not works:
        raise UnusableError(
            f"Torch {torch.__version__} finds the backend '{device.type}' unavailable "
            "(no such hardware, no driver, or a build of torch without it)."
        )


def _check_count(device: torch.device) -> None:
    count = 1 if device.type == "cpu" else backends.count_devices(device)
    if count == 0:
        raise UnusableError(f"The backend '{device.type}' is available but counts 0 devices.")
    if (device.index or 0) >= count:
        raise UnusableError(
            f"The backend '{device.type}' counts {count} device(s), numbered from 0."
        )


def _check_product(name: str) -> None:
    expected = _integers() @ _integers()
    try:
        found = _product(name)
    except Exception as error:  # drivers raise what they like, AssertionError included
        raise UnusableError(f"It fails at a small matrix product ({said(error)}).") from error
    wrong = int((found != expected).sum())
    if wrong:
        raise UnusableError(
            f"It computes a small matrix product wrongly, in {wrong} of {expected.numel()} numbers."
        )


def _integers() -> torch.Tensor:
    """(PROBE_SIZE, PROBE_SIZE) int64, entries -2 to 2: products exact even in bfloat16."""
    rows, columns = torch.arange(PROBE_SIZE)[:, None], torch.arange(PROBE_SIZE)[None, :]
    return (3 * rows + 7 * columns + rows * columns) % 5 - 2


def _product(name: str) -> torch.Tensor:
    factor = _integers().to(torch.float32).to(name)
    return (factor @ factor).to("cpu").to(torch.int64)


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
