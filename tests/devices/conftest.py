"""A backend that is not there, and no findings from other tests."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from initcheck.devices import (
    backends,
    detect,
    examine,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


FAKE = "xpu"  # a device type that every torch can name and no test machine has
ABSENT = "hpu"  # likewise, without a module in torch


@pytest.fixture(autouse=True)
def fresh_findings() -> Iterator[None]:
    examine.cache_clear()
    yield
    examine.cache_clear()


def right_product(_name: str) -> torch.Tensor:
    return detect._integers() @ detect._integers()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SimpleNamespace]:
    """Install a backend of type FAKE that works, with these attributes."""
    real = backends.module_of

    def install(
        *, product: Callable[[str], torch.Tensor] = right_product, **attributes: Any
    ) -> SimpleNamespace:
        properties = SimpleNamespace(name="Fake 9000", driver_version="1.2", total_memory=64)
        backend = SimpleNamespace(
            __name__="fake",
            is_available=lambda: True,
            device_count=lambda: 2,
            get_device_properties=lambda device: properties,
        )
        vars(backend).update(attributes)
        multiply = detect._product
        monkeypatch.setattr(
            backends, "module_of", lambda kind: backend if kind == FAKE else real(kind)
        )
        monkeypatch.setattr(
            detect,
            "_product",
            lambda name: product(name) if name.startswith(FAKE) else multiply(name),
        )
        return backend

    return install


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_args: object, **_options: object) -> Any:
        raise error

    return fail
