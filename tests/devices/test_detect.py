"""The device layer tests what backends report: fakes that compute wrongly are found."""

from __future__ import annotations

import os
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from initcheck import devices
from initcheck.devices import (
    DeviceError,
    available,
    backends,
    describe,
    detect,
    examine,
    forks,
    hardware,
    require,
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
        ({"device_count": lambda: 0}, f"The backend '{FAKE}' is available but counts 0 devices."),
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
        examine(f"{FAKE}:2").reason == f"The backend '{FAKE}' counts 2 device(s), numbered from 0."
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


# ---- an accelerator that is not started ----------------------------------------------------------


@pytest.fixture
def unstarted(fake: Callable[..., SimpleNamespace]) -> Callable[..., list[str]]:
    """Install a working backend that is not started; returns the products of this process."""

    def install(multiply: Callable[[str], torch.Tensor] = right_product, **more: Any) -> list[str]:
        here: list[str] = []

        def product(name: str) -> torch.Tensor:
            here.append(name)
            return multiply(name)

        fake(product=product, **{"is_initialized": lambda: False, **more})
        return here

    return install


FORKS = pytest.mark.skipif(not forks.supported(), reason="no process can be forked here")


@FORKS
def test_accelerator_is_tested_in_a_forked_process(unstarted: Callable[..., list[str]]) -> None:
    here = unstarted()
    assert examine(FAKE) == detect.Finding(FAKE, True, "", "Fake 9000")
    assert describe(FAKE)["driver"] == "1.2"
    assert here == []


@FORKS
def test_accelerator_that_ends_its_process_does_not_end_ours(
    unstarted: Callable[..., list[str]],
) -> None:
    here = unstarted(lambda _: os._exit(9))
    assert examine(FAKE).reason == "The process that multiplied on it ended with exit code 9."
    assert here == []


@FORKS
def test_accelerator_that_does_not_answer_is_given_up(
    unstarted: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detect, "TIMEOUT", 0.5)
    unstarted(lambda _: threading.Event().wait(60))  # type: ignore[arg-type, return-value]
    assert examine(FAKE).reason == "The process that multiplied on it gave no answer in 0.5 s."


@FORKS
def test_accelerator_that_a_fork_cannot_use_is_tested_in_this_process(
    unstarted: Callable[..., list[str]],
) -> None:
    """A driver that something started without torch's knowledge fails in forked processes."""
    parent = os.getpid()

    def multiply(name: str) -> torch.Tensor:
        if os.getpid() != parent:
            raise RuntimeError("initialization error")
        return right_product(name)

    here = unstarted(multiply)
    assert examine(FAKE).works
    assert here == [FAKE]


@pytest.mark.parametrize("started", [True, False])
def test_started_accelerator_is_tested_in_this_process(
    unstarted: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, *, started: bool
) -> None:
    monkeypatch.setattr(forks, "supported", lambda: started)  # or where nothing can be forked
    here = unstarted(is_initialized=lambda: started)
    assert examine(FAKE).works
    assert here == [FAKE]


@FORKS
@pytest.mark.parametrize("started", [True, False])
def test_process_that_started_an_accelerator_is_not_to_be_forked(
    unstarted: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch, *, started: bool
) -> None:
    unstarted(is_initialized=lambda: started)
    monkeypatch.setattr(detect, "candidates", lambda: (FAKE, ABSENT))
    assert detect.forkable() is not started


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
        f"The backend '{FAKE}' is available but counts 0 devices. Devices that work here: cpu. "
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


# ---- what a device is ----------------------------------------------------------------------------


def test_describe_cpu() -> None:
    described = describe("cpu")
    assert described["name"] == described["type"] == "cpu"
    assert described["hardware"] == examine("cpu").hardware
    assert described["capability"]


def test_describe_gives_driver_and_memory_of_an_accelerator(
    fake: Callable[..., SimpleNamespace],
) -> None:
    fake()
    assert describe(f"{FAKE}:1") == {
        "name": f"{FAKE}:1",
        "type": FAKE,
        "hardware": "Fake 9000",
        "driver": "1.2",
        "memory_bytes": 64,
    }


def test_describe_refuses_a_device_that_does_not_work() -> None:
    with pytest.raises(DeviceError, match="'nonsense' was requested"):
        describe("nonsense")


def test_the_processor_has_a_name_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", raising(OSError()))
    assert hardware._processor()


def test_the_nvidia_driver_version_is_read_from_the_kernel_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024"
    monkeypatch.setattr(Path, "read_text", lambda *_args, **_more: line + "\nGCC version: 12.2.0\n")
    assert hardware._nvidia_driver() == "550.54.15"


@pytest.mark.parametrize("name", ["cpu", FAKE, "cuda", "nonsense"])
def test_examining_leaves_the_environment_unchanged(name: str) -> None:
    before = dict(os.environ)
    examine(name)
    assert dict(os.environ) == before


@pytest.mark.parametrize(("hardware", "listed"), [("TPU", True), ("CPU", False)])
def test_xla_is_automatic_only_if_it_drives_other_hardware(
    monkeypatch: pytest.MonkeyPatch, hardware: str, listed: bool
) -> None:
    cpu = examine("cpu")
    xla = detect.Finding("xla", works=True, reason="", hardware=f"XLA on {hardware}")
    monkeypatch.setattr(detect, "candidates", lambda: ("xla",))
    monkeypatch.setattr(detect, "examine", {"cpu": cpu, "xla": xla}.__getitem__)
    assert ("xla" in available()) is listed
    assert require(["xla"]) == ("xla",)


# ---- only this package names them ----------------------------------------------------------------


def test_no_other_package_names_an_accelerator() -> None:
    """Everywhere else a device is an opaque string."""
    here = Path(devices.__file__).parent
    guilty = [
        path.name
        for path in here.parent.rglob("*.py")
        if path.parent != here
        for word in ("cuda", "torch.mps", "torch.xpu", "torch_xla")
        if word in path.read_text(encoding="utf-8")
    ]
    assert guilty == []
