"""The device layer tests what backends report: fakes that compute wrongly are found."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from initcheck.devices import (
    DeviceError,
    available,
    detect,
    examine,
    require,
)
from tests.devices.conftest import ABSENT, FAKE, raising, right_product

if TYPE_CHECKING:
    from collections.abc import Callable


# ---- examine -------------------------------------------------------------------------------------


def test_cpu_works_and_names_its_hardware() -> None:
    finding = examine("cpu")
    assert finding.works
    assert finding.reason == ""
    assert finding.hardware


def test_the_test_product_is_neither_zero_nor_symmetric() -> None:
    """A device that returns zeros, its input or a transposed product does not pass."""
    factor = detect._integers()
    product = factor @ factor
    assert not torch.equal(product, product.T)
    assert not torch.equal(product, factor)
    assert product.count_nonzero() > product.numel() / 2
    assert product.abs().max() <= 256  # bfloat16 holds every integer up to 256


def test_a_backend_that_computes_correctly_works(fake: Callable[..., SimpleNamespace]) -> None:
    fake()
    assert examine(FAKE) == detect.Finding(FAKE, True, "", "Fake 9000")
    assert examine(f"{FAKE}:1").works


def test_a_backend_that_computes_one_wrong_number_does_not_work(
    fake: Callable[..., SimpleNamespace],
) -> None:
    def wrong(name: str) -> torch.Tensor:
        product = right_product(name)
        product[3, 4] += 1
        return product

    fake(product=wrong)
    finding = examine(FAKE)
    assert not finding.works
    assert finding.reason == "It computes a small matrix product wrongly, in 1 of 1024 numbers."
    assert finding.hardware == ""


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"is_available": lambda: False}, f"finds the backend '{FAKE}' unavailable"),
        ({"device_count": lambda: 0}, f"The backend '{FAKE}' is available but reports 0 devices."),
        (
            {"device_count": raising(OSError("driver hangs"))},
            "Its devices cannot be counted (driver hangs).",
        ),
        (
            {"is_available": raising(RuntimeError("too old.\nmore"))},
            "Its backend does not load (too old).",
        ),
        (
            {"product": raising(AssertionError("not compiled"))},
            "It fails at a small matrix product (not compiled).",
        ),
        (
            {"product": raising(NotImplementedError())},
            "It fails at a small matrix product (NotImplementedError).",
        ),
    ],
)
def test_the_reason_of_a_failing_backend_is_reported(
    fake: Callable[..., SimpleNamespace], attributes: dict[str, Any], reason: str
) -> None:
    fake(**attributes)
    finding = examine(FAKE)
    assert not finding.works
    assert reason in finding.reason


def test_a_warning_of_a_backend_becomes_part_of_the_reason(
    fake: Callable[..., SimpleNamespace],
) -> None:
    """Backends explain failures in warnings. As errors, these would end the session."""

    def is_available() -> bool:
        warnings.warn("The driver is too old.\nUpdate it.", stacklevel=2)
        return False

    fake(is_available=is_available)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reason = examine(FAKE).reason
    assert reason.endswith("It warns: The driver is too old.")


@pytest.mark.parametrize("name", ["nonsense", f"{FAKE}:x", ""])
def test_a_name_that_torch_cannot_read_does_not_work(name: str) -> None:
    assert examine(name).reason == f"Torch {torch.__version__} knows no device of this name."


@pytest.mark.parametrize("name", ["meta", ABSENT])
def test_a_type_without_a_backend_does_not_work(name: str) -> None:
    assert not examine(name).works


def test_an_index_beyond_the_count_does_not_work(fake: Callable[..., SimpleNamespace]) -> None:
    fake()
    assert (
        examine(f"{FAKE}:2").reason == f"The backend '{FAKE}' reports 2 device(s), numbered from 0."
    )
    assert not examine("cpu:1").works


def test_a_device_is_examined_once(fake: Callable[..., SimpleNamespace]) -> None:
    calls: list[str] = []

    def product(name: str) -> torch.Tensor:
        calls.append(name)
        return right_product(name)

    fake(product=product)
    assert examine(FAKE) is examine(FAKE)
    assert calls == [FAKE]


# ---- available and require -----------------------------------------------------------------------


def test_available_begins_with_the_cpu() -> None:
    assert available()[0] == "cpu"
    assert all(examine(name).works for name in available())


def test_available_lists_a_working_accelerator_once(
    fake: Callable[..., SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake()
    monkeypatch.setattr(detect, "_current_accelerator", lambda: (FAKE,))
    assert available().count(FAKE) == 1


def test_available_omits_devices_that_compute_wrongly(fake: Callable[..., SimpleNamespace]) -> None:
    fake(product=lambda name: -right_product(name))
    assert FAKE not in available()


def test_candidates_survive_a_torch_without_accelerator_api(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch, "accelerator", raising=False)
    assert available()[0] == "cpu"


def test_require_keeps_order_and_removes_duplicates(fake: Callable[..., SimpleNamespace]) -> None:
    fake()
    assert require([FAKE, "cpu", f"{FAKE}:1", "cpu", FAKE]) == (FAKE, "cpu", f"{FAKE}:1")
    assert require([f"{FAKE}:0", FAKE, "cpu:0", "cpu"]) == (f"{FAKE}:0", "cpu:0")


def test_require_auto_gives_the_available_devices() -> None:
    assert require(["auto"]) == available()
    assert require(["cpu", "auto"]) == available()


def test_require_names_the_missing_device_the_reason_and_the_fix(
    fake: Callable[..., SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(device_count=lambda: 0)
    monkeypatch.setattr(detect, "candidates", lambda: (FAKE,))
    with pytest.raises(DeviceError) as caught:
        require(["cpu", FAKE])
    assert str(caught.value) == (
        f"Device '{FAKE}' was requested but cannot be used. "
        f"The backend '{FAKE}' is available but reports 0 devices. Devices that work here: cpu. "
        "Run `initcheck doctor` to see every device, "
        "or request only these with `--initcheck-device cpu`."
    )


def test_require_names_every_missing_device_once() -> None:
    with pytest.raises(DeviceError) as caught:
        require(["nonsense", "cpu:7", "nonsense"])
    assert str(caught.value).count("was requested but cannot be used") == 2


def test_require_refuses_an_empty_list() -> None:
    with pytest.raises(DeviceError, match="No device was requested"):
        require([])
