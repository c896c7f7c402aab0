"""MNIST's files: read unchanged, refused with a message, downloaded only on request."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from initcheck.datasets import load, loaders
from tests.helpers.data import message

MNIST_FILES = {
    "train-images-idx3-ubyte": (30, 28, 28),
    "train-labels-idx1-ubyte": (30,),
    "t10k-images-idx3-ubyte": (20, 28, 28),
    "t10k-labels-idx1-ubyte": (20,),
}
pytestmark = pytest.mark.usefixtures("isolated_data")


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """MNIST's four files in miniature: torchvision checks only their names, not their MD5."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name, shape in MNIST_FILES.items():
        array = random.integers(0, 256 if len(shape) == 3 else 10, shape, dtype=np.uint8)
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
        (raw / name).write_bytes(header + array.tobytes())
    return tmp_path


def test_mnist_holds_what_the_files_hold(mnist: Path) -> None:
    dataset = load("mnist", root=mnist)
    assert dataset.name == "mnist"
    assert dataset.train_inputs.shape == (30, 1, 28, 28)
    assert dataset.test_inputs.shape == (20, 1, 28, 28)
    images = (mnist / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()[16:]
    labels = (mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").read_bytes()[8:]
    expected = np.frombuffer(images, np.uint8).astype(np.float32) / np.float32(255)
    assert dataset.test_inputs.flatten().tolist() == expected.tolist()
    assert dataset.test_targets.tolist() == list(labels)
    assert dataset.train_inputs.is_contiguous()


def test_mnist_is_read_once(mnist: Path) -> None:
    assert load("mnist", root=mnist) is load("mnist", root=mnist / "MNIST" / "..")


def test_missing_mnist_files_are_named(mnist: Path) -> None:
    missing = mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    missing.unlink()
    text = message("mnist", root=mnist)
    assert str(missing) in text
    assert "t10k-images-idx3-ubyte" not in text
    assert "--initcheck-data-root DIR" in text
    assert "--initcheck-download" in text


@pytest.mark.parametrize("name", MNIST_FILES)
@pytest.mark.parametrize("kept", [0, 3, 7, -1])
def test_truncated_mnist_file_is_named_with_both_sizes(mnist: Path, name: str, kept: int) -> None:
    path = mnist / "MNIST" / "raw" / name
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    header = 4 + 4 * len(MNIST_FILES[name])
    expected = len(whole) if kept < 0 else header
    found = len(whole) - 1 if kept < 0 else kept
    text = message("mnist", root=mnist)
    assert text.startswith(f"{path} has {found} bytes, expected {expected}.")
    assert "--initcheck-download" in text


def test_file_that_is_not_idx_is_named(mnist: Path) -> None:
    path = mnist / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(b"<html>404 Not Found</html>" * 9)
    assert message("mnist", root=mnist).startswith(f"{path} is not an idx3 file.")


def test_labels_that_do_not_fit_the_images_are_refused(mnist: Path) -> None:
    raw = mnist / "MNIST" / "raw"
    (raw / "train-labels-idx1-ubyte").write_bytes((raw / "t10k-labels-idx1-ubyte").read_bytes())
    assert "has 20 labels for 30 images" in message("mnist", root=mnist)


def test_label_beyond_the_classes_is_refused(mnist: Path) -> None:
    path = mnist / "MNIST" / "raw" / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x0a")
    assert "labels from 0 to 10, and they must be from 0 to 9" in message("mnist", root=mnist)


def test_root_comes_from_the_environment(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INITCHECK_DATA_ROOT", str(mnist))
    assert load("mnist") is load("mnist", root=mnist)


# --- downloads ------------------------------------------------------------------------------------


class FakeTorchvision:
    """Notes every construction; one that downloads fails as without a network."""

    def __init__(self) -> None:
        self.downloads: list[bool] = []

    def construct(self, **options: Any) -> Any:
        self.downloads.append(options["download"])
        if options["download"]:
            raise OSError("no network")
        count = 30 if options["train"] else 20
        return types.SimpleNamespace(
            data=torch.zeros(count, 28, 28, dtype=torch.uint8),
            targets=torch.zeros(count, dtype=torch.int64),
        )

    MNIST = CIFAR10 = construct


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> FakeTorchvision:
    fake = FakeTorchvision()
    monkeypatch.setattr(loaders, "_torchvision_datasets", lambda: fake)
    return fake


def test_nothing_is_downloaded_unless_requested(mnist: Path, torchvision: FakeTorchvision) -> None:
    load("mnist", root=mnist)
    assert torchvision.downloads == [False, False]


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_missing_data_are_not_downloaded_unless_requested(
    tmp_path: Path, torchvision: FakeTorchvision, name: str
) -> None:
    message(name, root=tmp_path)
    assert torchvision.downloads == []


def test_present_data_are_not_downloaded_again(mnist: Path, torchvision: FakeTorchvision) -> None:
    load("mnist", root=mnist, download=True)
    assert torchvision.downloads == [False, False]


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_failed_download_says_so(tmp_path: Path, torchvision: FakeTorchvision, name: str) -> None:
    text = message(name, root=tmp_path, download=True)
    assert torchvision.downloads == [True]
    assert f"'{name}' could not be downloaded to {tmp_path}: no network" in text
    assert "--initcheck-data-root DIR" in text


def test_missing_torchvision_is_named(mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert "pip install torchvision" in message("mnist", root=mnist)
