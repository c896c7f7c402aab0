"""Takes a module from its build function, and moves it to the device where it is inspected."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from initcheck import devices
from initcheck.inspection.calling import called, said, what
from initcheck.inspection.findings import InspectionError
from initcheck.inspection.memory import WatchedMemory
from initcheck.inspection.tensors import named_tensors, storage


def refuse_incomplete(module: nn.Module, name: str) -> None:
    """Refuse a module with a part whose parameters cannot be listed.

    Raises:
        InspectionError: a constructor does not call that of ``nn.Module``.
    """
    try:
        named_tensors(module)
    except Exception as error:
        raise InspectionError(
            f"{name} returned {what(module)} whose parameters cannot be listed: {said(error)}. "
            "Call super().__init__() first in every constructor."
        ) from error


def require(device: str) -> None:
    """Refuse a device that is not there or cannot compute.

    Raises:
        InspectionError: it says why, and which devices there are.
    """
    try:
        devices.require([device])
    except devices.DeviceError as error:
        raise InspectionError(str(error).replace("--initcheck-device", "--device")) from None


def moved_to(device: str, module: nn.Module, memory: WatchedMemory | None) -> nn.Module:
    """The module on a device. What is known of its tensors follows them to their new memory.

    Raises:
        InspectionError: it cannot be moved.
    """
    before = [*_addresses(module)]
    moved: nn.Module = called(module.to, f"moving the module to {device}", device)
    if memory is not None:
        memory.move(dict(zip(_addresses(moved), before, strict=False)))
    return moved


def _addresses(module: nn.Module) -> Iterator[int]:
    """The memory of each parameter and buffer, under each of its names."""
    for part in module.modules():
        for tensor in (*part._parameters.values(), *part._buffers.values()):  # noqa: SLF001
            yield 0 if tensor is None else storage(tensor)
