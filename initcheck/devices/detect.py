"""Which devices work: each is tested with a matrix product, whatever its backend reports.

No device is chosen silently: every device that `require` is given must work.
"""

from __future__ import annotations

import functools
import importlib.util
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from initcheck.devices import backends, forks, hardware
from initcheck.devices.backends import UnusableError, first_line
from initcheck.devices.visibility import without_starting_accelerators

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PRODUCT_SIZE = 32  # rows of the test product: more than one tile of any matrix unit, yet cheap
XLA_ON_CPU = "XLA on CPU"
TIMEOUT = 120.0  # seconds for the test of a device; a driver may take long to start


class DeviceError(RuntimeError):
    """A requested device is missing or cannot compute; the message says why and how to fix it."""


@dataclass(frozen=True)
class Finding:
    """The result of examining one device.

    Attributes:
        name: the device.
        works: whether it computes.
        reason: a sentence if the device does not work, else empty.
        hardware: for example "NVIDIA H100"; empty if the device does not work.
        details: what `describe` returns.
    """

    name: str
    works: bool
    reason: str
    hardware: str
    details: Mapping[str, Any] = field(default_factory=dict, compare=False)


# ---- which devices work ------------------------------------------------------------------------


@functools.cache
def examine(name: str) -> Finding:
    """Test whether a device is available, exists in that number, and multiplies matrices correctly.

    Accepts "cpu", "cuda", "cuda:1", "mps", "xpu", "xla" and any backend registered with torch. A
    device that fails raises nothing: the finding has the reason. Each device is tested once per
    process. Where processes can be forked, a forked one runs the test, so that the accelerator is
    not started in this process before something is trained on it.
    """
    if not _is_unstarted(name):
        return _examine(name)
    try:
        finding = forks.call(functools.partial(_examine, name), TIMEOUT)
    except forks.ForkError as error:
        reason = f"The process that multiplied on it {error}."
        return Finding(name, works=False, reason=reason, hardware="")
    # If something in this process has used the driver before, the test may fail in the fork only.
    return finding if finding.works else _examine(name)


def forkable() -> bool:
    """Return whether a forked process could train.

    It could not if this process has started an accelerator: autograd uses every accelerator that it
    sees, even to train on the CPU, and fails on one that was started before the fork.
    """
    return forks.supported() and not any(map(_is_started, candidates()))


def _is_started(name: str) -> bool:
    """Whether this process has started an accelerator, as far as its backend reports it."""
    try:
        return bool(backends.module_of(backends.parse(name).type).is_initialized())
    except Exception:  # noqa: BLE001 -- third-party backends may raise anything, or not report it
        return False


def _is_unstarted(name: str) -> bool:
    """Whether an accelerator is available and its backend reports that it is not started here."""
    try:
        with without_starting_accelerators(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `_examine` collects them
            device = backends.parse(name)
            if device.type == "cpu" or not forks.supported():
                return False
            backend = backends.module_of(device.type)
            return backends.is_available(backend) and not backend.is_initialized()
    except Exception:  # noqa: BLE001 -- third-party backends may raise anything, or not report it
        return False


def _examine(name: str) -> Finding:
    """Run all steps of `examine` in this process."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")  # backends warn to explain why they are unavailable
        try:
            device = backends.parse(name)
            _check_available(device)
            _check_count(device)
            _check_product(name)
        except UnusableError as error:
            hints = [f"It warns: {first_line(warning.message)}." for warning in caught]
            return Finding(name, works=False, reason=" ".join([str(error), *hints]), hardware="")
        details = {"name": name, "type": device.type, "hardware": hardware.name(device)}
        details |= hardware.details(device)
        return Finding(name, works=True, reason="", hardware=details["hardware"], details=details)


def available() -> tuple[str, ...]:
    """Return the devices that work, the CPU first, one per backend and without an index.

    XLA on its CPU client is left out, because it is another compiler for the same processor. It
    must be requested by name.
    """
    findings = [examine(name) for name in ("cpu", *candidates())]
    return tuple(f.name for f in findings if f.works and f.hardware != XLA_ON_CPU)


def require(names: Sequence[str]) -> tuple[str, ...]:
    """Return `names` in order without duplicates, with "auto" replaced by `available()`.

    Raises:
        DeviceError: `names` is empty, or one of the devices is missing or computes wrongly.
    """
    if not names:
        raise DeviceError("No device was requested. Request one with `--initcheck-device cpu`.")
    requested = [each for name in names for each in (available() if name == "auto" else (name,))]
    failing = [finding for name in dict.fromkeys(requested) if not (finding := examine(name)).works]
    if failing:
        raise DeviceError(_explain(failing))
    unique: dict[tuple[str, int], str] = {}
    for name in requested:
        device = backends.parse(name)
        unique.setdefault((device.type, device.index or 0), name)  # "cuda" and "cuda:0" are one
    return tuple(unique.values())


def _explain(failing: Sequence[Finding]) -> str:
    working = ",".join(available())
    reasons = " ".join(
        f"Device '{f.name}' was requested but cannot be used. {f.reason}" for f in failing
    )
    return (
        f"{reasons} Devices that work here: {working}. Run `initcheck doctor` to see every device, "
        f"or request only these with `--initcheck-device {working}`."
    )


def candidates() -> tuple[str, ...]:
    """Return the accelerators to examine: torch's current one, then others that it may not name."""
    names = [*_current_accelerator(), "cuda", "mps", "xpu"]
    if importlib.util.find_spec("torch_xla") is not None:
        names.append("xla")
    return tuple(dict.fromkeys(name for name in names if name != "cpu"))


def _current_accelerator() -> tuple[str, ...]:
    # torch.accelerator exists since 2.6. It may name a backend without hardware. `examine` detects
    # that, so check_available (since 2.7) is not needed.
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
        works = backends.is_available(backends.module_of(device.type))
    except Exception as error:  # third-party backends may raise anything
        raise UnusableError(f"Its backend does not load ({first_line(error)}).") from error
    if not works:
        raise UnusableError(
            f"Torch {torch.__version__} finds the backend '{device.type}' unavailable "
            "(no such hardware, no driver, or a build of torch without it)."
        )


def _check_count(device: torch.device) -> None:
    count = 1 if device.type == "cpu" else backends.count_devices(device)
    if count == 0:
        raise UnusableError(f"The backend '{device.type}' is available but reports 0 devices.")
    if (device.index or 0) >= count:
        raise UnusableError(
            f"The backend '{device.type}' reports {count} device(s), numbered from 0."
        )


def _check_product(name: str) -> None:
    expected = _integers() @ _integers()
    try:
        product = _product(name)
    except Exception as error:  # drivers may raise anything, including AssertionError
        raise UnusableError(f"It fails at a small matrix product ({first_line(error)}).") from error
    wrong = int((product != expected).sum())
    if wrong:
        raise UnusableError(
            f"It computes a small matrix product wrongly, in {wrong} of {expected.numel()} numbers."
        )


def _integers() -> torch.Tensor:
    """A (PRODUCT_SIZE, PRODUCT_SIZE) int64 matrix of -2 to 2: exact even in bfloat16."""
    rows, columns = torch.arange(PRODUCT_SIZE)[:, None], torch.arange(PRODUCT_SIZE)[None, :]
    return (3 * rows + 7 * columns + rows * columns) % 5 - 2


def _product(name: str) -> torch.Tensor:
    factor = _integers().to(torch.float32).to(name)
    return (factor @ factor).to("cpu").to(torch.int64)


# ---- what a device is --------------------------------------------------------------------------


def describe(name: str) -> dict[str, str | int]:
    """Return a device's name, type and hardware.

    If torch knows them, also its driver, capability and memory in bytes.

    Raises:
        DeviceError: the device does not work.
    """
    finding = examine(name)
    if not finding.works:
        raise DeviceError(_explain([finding]))
    return {key: value for key, value in finding.details.items() if value not in ("", None)}
