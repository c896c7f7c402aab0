"""The embedded digits: the file is the recorded one, and its split follows the written rule."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from initcheck.datasets import MNIST5K_FINGERPRINT, load, mnist5k
from tests.helpers.data import message

pytestmark = pytest.mark.usefixtures("isolated_data")
PARTS = ("train_images", "train_labels", "test_images", "test_labels")


def stored() -> dict[str, np.ndarray]:
    """The four arrays of the file."""
    with np.load(mnist5k.FILE) as file:
        return {name: file[name] for name in PARTS}


def test_file_has_the_recorded_sha256() -> None:
    notes = mnist5k.FILE.with_suffix(".txt").read_text(encoding="utf-8")
    assert hashlib.sha256(mnist5k.FILE.read_bytes()).hexdigest() in notes


def test_notes_name_source_and_licence() -> None:
    notes = mnist5k.FILE.with_suffix(".txt").read_text(encoding="utf-8")
    assert "https://yann.lecun.com/exdb/mnist/" in notes
    assert "Creative Commons Attribution-Share Alike 3.0" in notes


def test_file_contains_bytes_only() -> None:
    assert {array.dtype for array in stored().values()} == {np.dtype(np.uint8)}


def test_fingerprint_is_the_one_evidence_was_recorded_on() -> None:
    assert load("mnist5k").fingerprint == MNIST5K_FINGERPRINT == "7b58496bc397b12c"


def test_fingerprint_is_the_digest_of_shapes_types_and_bytes() -> None:
    dataset = load("mnist5k")
    digest = hashlib.sha256()
    for inputs, targets in (
        (dataset.train_inputs, dataset.train_targets),
        (dataset.test_inputs, dataset.test_targets),
    ):
        images = (inputs * 255).round().to(torch.uint8)
        digest.update(f"{tuple(images.shape)}uint8".encode() + images.numpy().tobytes())
        digest.update(f"{tuple(targets.shape)}int64".encode() + targets.numpy().tobytes())
    assert digest.hexdigest()[:16] == dataset.fingerprint


# --- the split ------------------------------------------------------------------------------------


def by_digest(images: list[bytes], purpose: bytes) -> list[bytes]:
    """Images in the order of the SHA-256 of a word and their pixels."""
    return sorted(images, key=lambda image: hashlib.sha256(purpose + image).digest())


def test_split_follows_the_rule_in_the_notes() -> None:
    """The file is rebuilt, to the byte, from the set of its images and their labels."""
    arrays = stored()
    images = [*arrays["train_images"], *arrays["test_images"]]
    labels = [*arrays["train_labels"].tolist(), *arrays["test_labels"].tolist()]
    label_of = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    assert len(label_of) == 5000

    drawn = by_digest(sorted(label_of), b"split")
    test = {
        image for digit in range(10) for image in [i for i in drawn if label_of[i] == digit][:100]
    }
    order = by_digest(sorted(label_of), b"order")
    for part, expected in (
        ("train", [image for image in order if image not in test]),
        ("test", [image for image in order if image in test]),
    ):
        assert arrays[f"{part}_images"].tobytes() == b"".join(expected)
        assert arrays[f"{part}_labels"].tolist() == [label_of[image] for image in expected]


def test_split_is_stratified() -> None:
    dataset = load("mnist5k")
    assert dataset.train_targets.bincount().tolist() == [400] * 10
    assert dataset.test_targets.bincount().tolist() == [100] * 10


def test_rows_are_not_sorted_by_digit() -> None:
    """Any tenth of the training rows has each digit about 40 times (standard deviation 5.7)."""
    counts = [part.bincount(minlength=10) for part in load("mnist5k").train_targets.chunk(10)]
    assert all(15 <= count <= 65 for count in torch.stack(counts).flatten().tolist())


# --- loading --------------------------------------------------------------------------------------


def test_tensors_have_the_documented_shapes_types_and_range() -> None:
    dataset = load("mnist5k")
    assert dataset.name == "mnist5k"
    assert dataset.classes == 10
    for inputs, targets, count in (
        (dataset.train_inputs, dataset.train_targets, 4000),
        (dataset.test_inputs, dataset.test_targets, 1000),
    ):
        assert inputs.shape == (count, 1, 28, 28)
        assert targets.shape == (count,)
        assert (inputs.dtype, targets.dtype) == (torch.float32, torch.int64)
        assert inputs.is_contiguous()
        assert (float(inputs.min()), float(inputs.max())) == (0, 1)


def test_loading_writes_no_cache(own_cache: Path) -> None:
    load("mnist5k")
    assert not own_cache.exists()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package's file that a test may damage."""
    copy = tmp_path / "mnist5k.npz"
    copy.write_bytes(mnist5k.FILE.read_bytes())
    monkeypatch.setattr(mnist5k, "FILE", copy)
    return copy


def test_other_images_are_refused(file: Path) -> None:
    arrays = stored()
    arrays["train_images"][0, 0, 0, 0] += 1  # one pixel, by one part in 255
    np.savez_compressed(file, **arrays)
    text = message("mnist5k")
    assert f"{file} has the fingerprint" in text
    assert f"the evidence was recorded on {MNIST5K_FINGERPRINT}" in text
    assert "pip install --force-reinstall" in text


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "text", "part"])
def test_damaged_file_is_refused(file: Path, damage: str) -> None:
    whole = file.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    content = {"empty": b"", "cut": whole[:middle], "flipped": flipped, "text": b"hello"}
    if damage == "missing":
        file.unlink()
    elif damage == "part":
        np.savez_compressed(file, train_images=stored()["train_images"])
    else:
        file.write_bytes(content[damage])
    text = message("mnist5k")
    assert f"{file} is missing or damaged" in text
    assert "git restore initcheck/datasets/mnist5k.npz" in text
