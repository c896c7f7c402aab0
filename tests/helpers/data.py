"""What the tests of data sets, of their cache and of image folders share."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from initcheck.datasets import load
from initcheck.datasets.arrays import DataError

COLOURS = {"ant": (255, 0, 0), "bee": (0, 255, 0), "cat": (0, 0, 51)}


def message(name: str, **options: Any) -> str:
    """The message of the error when `name` is refused."""
    with pytest.raises(DataError) as caught:
        load(name, **options)
    return str(caught.value)


def make_folder(path: Path, *, suffix: str = "png") -> Path:
    """Three classes of one colour each, 4 x 3 pixels: two training images, one for testing."""
    for part, count in (("train", 2), ("test", 1)):
        for name, colour in COLOURS.items():
            (path / part / name).mkdir(parents=True)
            for number in range(count):
                image = Image.new("RGB", (4, 3), colour)
                image.save(path / part / name / f"{number:04}.{suffix}")
    return path


def zip_folder(source: Path, target: Path, *, prefix: str) -> None:
    """Pack the images of `source`, each name with `prefix` before it."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in source.rglob("*.*"):
            archive.write(path, prefix + path.relative_to(source).as_posix())
