"""Torch's backends by the names of devices, asked in one way though each answers in its own."""

from __future__ import annotations

import importlib
from typing import Any

import torch


class UnusableError(Exception):
    """Why a device cannot be used: a sentence."""


def parse(name: str) -> torch.device:
    """Return what torch understands by the name of a device.

    Raises:
        UnusableError: nothing.
    """
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise UnusableError(f"Torch {torch.__version__} knows no device of this name.") from error


def named(kind: str) -> Any:
    """Return torch's module for a type of device."""
    if kind == "xla":
        return importlib.import_module("torch_xla")
    return torch.get_device_module(kind)


def is_available(backend: Any) -> bool:
    """Whether a backend finds hardware, as it says itself."""
    # torch_xla is available once it imports; torch.mps learned `is_available` late.
    if backend.__name__ == "torch.mps":
        return torch.backends.mps.is_available()
    return bool(backend.is_available()) if hasattr(backend, "is_available") else True


def count_devices(device: torch.device) -> int:
    """How many devices of its type there are."""
    try:
        return int(named(device.type).device_count())
    except Exception as error:  # the first call that touches the hardware
        raise UnusableError(f"Its devices cannot be counted ({said(error)}).") from error


def said(error: Warning | Exception | str) -> str:
    """Return the first line of a message, without its full stop: backends go on for pages."""
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__


def properties(device: torch.device) -> Any:
    """Return the backend's properties object, or None for a backend that has none."""
    ask = getattr(named(device.type), "get_device_properties", None)
    return None if ask is None else ask(device)
