"""CIFAR-10 from its archive or as JPEG files, and which of the two its name says."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from initcheck import datasets
from initcheck.datasets import load, loaders
from tests.helpers.data import make_folder, message, zip_folder

pytestmark = pytest.mark.usefixtures("isolated_data")


def test_missing_cifar10_names_the_three_places(tmp_path: Path) -> None:
    text = message("cifar10", root=tmp_path)
    for place in ("cifar-10-batches-py", "cifar10-jpeg", "cifar10-jpeg.zip"):
        assert str(tmp_path / place) in text


def test_incomplete_cifar10_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    text = message("cifar10", root=tmp_path)
    assert "incomplete or damaged" in text
    assert "--initcheck-download" in text


def test_cifar10_archive_comes_as_channels_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    data = np.arange(2 * 32 * 32 * 3, dtype=np.uint8).reshape(2, 32, 32, 3)

    def archive(**options: Any) -> Any:
        assert options["download"] is False
        return types.SimpleNamespace(data=data, targets=[7, 2])

    fake = types.SimpleNamespace(CIFAR10=archive)
    monkeypatch.setattr(loaders, "_torchvision_datasets", lambda: fake)
    dataset = load("cifar10", root=tmp_path)
    assert (dataset.name, dataset.classes) == ("cifar10", 10)
    assert dataset.train_inputs.shape == (2, 3, 32, 32)
    assert dataset.train_inputs.is_contiguous()
    assert dataset.train_inputs[1, 2, 5, 9] == np.float32(data[1, 5, 9, 2]) / np.float32(255)
    assert dataset.test_targets.tolist() == [7, 2]


@pytest.mark.parametrize("zipped", [False, True])
def test_jpeg_cifar10_says_in_its_name_that_it_is_jpeg(tmp_path: Path, zipped: bool) -> None:
    source = make_folder(tmp_path / ("source" if zipped else "cifar10-jpeg"), suffix="jpg")
    if zipped:
        zip_folder(source, tmp_path / "cifar10-jpeg.zip", prefix="cifar10-jpeg/")
    dataset = load("cifar10", root=tmp_path)
    assert dataset.name == "cifar10-jpeg"
    assert dataset.train_targets.tolist() == [0, 0, 1, 1, 2, 2]


def test_jpeg_cifar10_is_decoded_once(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path / "cifar10-jpeg", suffix="jpg")
    first = load("cifar10", root=tmp_path)
    assert len(list(own_cache.iterdir())) == 1
    datasets.forget()
    monkeypatch.setattr(loaders, "decode", None)
    assert load("cifar10", root=tmp_path).fingerprint == first.fingerprint


def test_changed_jpeg_is_decoded_again(tmp_path: Path, own_cache: Path) -> None:
    path = make_folder(tmp_path / "cifar10-jpeg", suffix="jpg")
    first = load("cifar10", root=tmp_path)
    datasets.forget()
    Image.new("RGB", (4, 3), (9, 9, 9)).save(path / "test" / "cat" / "0000.jpg")
    assert load("cifar10", root=tmp_path).fingerprint != first.fingerprint
    assert len(list(own_cache.iterdir())) == 2
