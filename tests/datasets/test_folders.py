"""A folder of images gives what its files hold, or an error names the file that is in the way."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from initcheck.datasets import DataSet, forget, load
from tests.helpers.data import COLOURS, make_folder, message, zip_folder

pytestmark = pytest.mark.usefixtures("isolated_data")


def assert_coloured(dataset: DataSet) -> None:
    assert dataset.classes == 3
    assert dataset.train_targets.tolist() == [0, 0, 1, 1, 2, 2]
    assert dataset.test_targets.tolist() == [0, 1, 2]
    assert dataset.test_inputs.shape == (3, 3, 3, 4)  # (N, C, H, W)
    colours = torch.tensor(list(COLOURS.values())) / 255
    assert torch.equal(dataset.test_inputs, colours[:, :, None, None].expand(3, 3, 3, 4))


def test_folder_holds_its_images_by_sorted_class(tmp_path: Path) -> None:
    make_folder(tmp_path / "insects")
    (tmp_path / "insects" / "train" / "ant" / "notes.txt").write_text("no image")
    dataset = load(f"folder:{tmp_path / 'insects'}")
    assert dataset.name == "folder:insects"
    assert_coloured(dataset)
    assert load(f"folder:{tmp_path / 'insects'}") is dataset


def test_data_that_were_forgotten_are_read_again(tmp_path: Path) -> None:
    make_folder(tmp_path / "insects")
    dataset = load(f"folder:{tmp_path / 'insects'}")
    before = dataset.changes
    dataset.test_inputs[:2].sub_(0.5)  # a view's changes are those of the whole
    assert dataset.changes != before
    forget()
    assert_coloured(load(f"folder:{tmp_path / 'insects'}"))


@pytest.mark.parametrize("prefix", ["", "insects/"])
def test_zipped_folder_holds_the_same(tmp_path: Path, prefix: str) -> None:
    make_folder(tmp_path / "insects")
    zip_folder(tmp_path / "insects", tmp_path / "insects.zip", prefix=prefix)
    zipped = load(f"folder:{tmp_path / 'insects.zip'}")
    assert_coloured(zipped)
    assert zipped.fingerprint == load(f"folder:{tmp_path / 'insects'}").fingerprint


def test_grey_images_become_rgb(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "grey")
    for file in path.rglob("*.png"):
        Image.new("L", (4, 3), 51).save(file)
    assert set(load(f"folder:{path}").train_inputs.flatten().tolist()) == {float(np.float32(0.2))}


def test_image_of_another_size_is_named(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "insects")
    Image.new("RGB", (5, 3)).save(path / "test" / "bee" / "0000.png")
    text = message(f"folder:{path}")
    assert "test/bee/0000.png" in text
    assert "is 5 x 3 pixels" in text
    assert "train/ant/0000.png is 4 x 3" in text


@pytest.mark.parametrize("kept", [0, 40])
def test_image_that_does_not_decode_is_named(tmp_path: Path, kept: int) -> None:
    path = make_folder(tmp_path / "insects")
    broken = path / "train" / "cat" / "0001.png"
    broken.write_bytes(broken.read_bytes()[:kept])
    text = message(f"folder:{path}")
    assert "train/cat/0001.png" in text
    assert "does not decode" in text


@pytest.mark.parametrize("part", ["train", "test"])
def test_folder_without_a_part_is_refused(tmp_path: Path, part: str) -> None:
    path = make_folder(tmp_path / "insects")
    (path / part).rename(path / "elsewhere")
    assert f"has no image named like {part}/CLASS/IMAGE.png" in message(f"folder:{path}")


def test_class_without_training_images_is_named(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "insects")
    (path / "test" / "ant").rename(path / "test" / "dog")
    assert "has the classes dog in `test` only" in message(f"folder:{path}")


def test_broken_zip_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK but no archive")
    text = message(f"folder:{tmp_path / 'broken.zip'}")
    assert f"{tmp_path / 'broken.zip'} is not an intact zip archive" in text


def test_image_whose_packed_bytes_are_damaged_is_named(tmp_path: Path) -> None:
    folder, packed = make_folder(tmp_path / "insects", suffix="bmp"), tmp_path / "insects.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*.bmp")):
            archive.write(path, path.relative_to(folder).as_posix())
        last = archive.getinfo("train/cat/0001.bmp")
    damaged = bytearray(packed.read_bytes())
    start = last.header_offset + 30 + len(last.filename)
    damaged[start : start + last.compress_size] = b"\xff" * last.compress_size
    packed.write_bytes(damaged)
    text = message(f"folder:{packed}")
    assert "train/cat/0001.bmp" in text
    assert "does not decode" in text
