"""One interface to torch's backends, whose own interfaces differ."""

from __future__ import annotations

import importlib
from typing import Any

import torch


class UnusableError(Exception):
    """A device cannot be used; the message says why."""


def parse(name: str) -> torch.device:
    """Return torch's device of this name.

    Raises:
        UnusableError: torch knows no such device.
    """
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise UnusableError(f"Torch {torch.__version__} knows no device of this name.") from error


def module_of(kind: str) -> Any:
    """Return torch's module for a type of device, such as torch.cuda."""
    if kind == "xla":
        return importlib.import_module("torch_xla")
    return torch.get_device_module(kind)


def is_available(backend: Any) -> bool:
    """Return whether a backend reports that it has hardware."""
    # torch_xla is available if it imports. Older versions of torch.mps have no `is_available`.
    if backend.__name__ == "torch.mps":
        return torch.backends.mps.is_available()
    return bool(backend.is_available()) if hasattr(backend, "is_available") else True


def count_devices(device: torch.device) -> int:
    """Return the number of devices of this type.

    Raises:
        UnusableError: the backend fails.
    """
    try:
        return int(module_of(device.type).device_count())
    except Exception as error:  # any: this is the first call that reaches the hardware
        raise UnusableError(f"Its devices cannot be counted ({first_line(error)}).") from error


def first_line(error: Warning | Exception | str) -> str:
    """Return the first line of a message without its full stop: some backends write pages."""
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__


def properties(device: torch.device) -> Any:
    """Return the backend's properties object, or None for a backend that has none."""
    get = getattr(module_of(device.type), "get_device_properties", None)
    return None if get is None else get(device)
