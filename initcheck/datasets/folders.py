"""Images in one folder per class, or in a zip archive of such folders, decoded into arrays."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from initcheck.datasets.arrays import Arrays, Bytes, DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

# What damaged bytes raise: Pillow the first three (SyntaxError for a PNG), archives the last three.
DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Folder:
    """The names of images in torchvision's `ImageFolder` layout.

    Attributes:
        path: a directory, or a zip archive of one.
        train: sorted names such as "train/frog/0001.jpg".
        test: sorted names such as "test/frog/0001.jpg".
        classes: the sorted names of the folders below "train".
        identity: a digest that changes when an image is added, removed or modified.
    """

    path: Path
    train: list[str]
    test: list[str]
    classes: list[str]
    identity: str


def find_images(path: Path) -> Folder:
    """List the images of a directory or zip archive without decoding them.

    Raises:
        DataError: there are no training or no test images, a class of the test set has no training
            images, or the archive is damaged.
    """
    stamps = dict(sorted(_stamps(path)))
    train = [name for name in stamps if name.startswith("train/")]
    test = [name for name in stamps if name.startswith("test/")]
    for part, names in (("train", train), ("test", test)):
        if not names:
            raise DataError(
                f"{path} has no image named like {part}/CLASS/IMAGE.png. Name a folder, or a zip "
                "archive of one, that has `train` and `test` with one folder per class in each."
            )
    classes = sorted({_class(name) for name in train})
    if unseen := {_class(name) for name in test} - set(classes):
        raise DataError(
            f"{path} has the classes {', '.join(sorted(unseen))} in `test` only. "
            "Add training images of them, or remove them."
        )
    stamped = "\n".join(f"{name} {stamp}" for name, stamp in stamps.items())
    identity = hashlib.sha256(stamped.encode()).hexdigest()[:16]
    return Folder(path, train, test, classes, identity)


def _class(name: str) -> str:
    return name.split("/")[1]


def _stamps(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the name of each image and a text that changes with its content."""
    entries = _zip_entries(path) if path.is_file() else _directory_entries(path)
    for name, stamp in entries:
        if name.count("/") >= 2 and name.lower().endswith(IMAGE_SUFFIXES):
            yield name, stamp


def _zip_entries(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                yield entry.filename.removeprefix(f"{path.stem}/"), f"{entry.CRC} {entry.file_size}"
    except zipfile.BadZipFile as error:
        raise DataError(
            f"{path} is not an intact zip archive. Replace it with an intact copy."
        ) from error


def _directory_entries(path: Path) -> Iterator[tuple[str, str]]:
    for file in path.rglob("*.*"):
        status = file.stat()
        yield file.relative_to(path).as_posix(), f"{status.st_mtime_ns} {status.st_size}"


@contextmanager
def _open_files(path: Path) -> Iterator[Callable[[str], IO[bytes]]]:
    """Yield a function that opens an image by its name, for reading."""
    if path.is_dir():
        yield lambda name: (path / name).open("rb")
        return
    with zipfile.ZipFile(path) as archive:
        members = set(archive.namelist())
        prefix = f"{path.stem}/"  # present if the folder itself was packed, not its contents
        yield lambda name: archive.open(prefix + name if prefix + name in members else name)


def decode(folder: Folder) -> Arrays:
    """Decode every image as RGB: images (N, 3, H, W) uint8, labels (N,) int64.

    Raises:
        DataError: an image does not decode, or its size is not that of the first image.
    """
    labels = {name: number for number, name in enumerate(folder.classes)}
    arrays: list[Any] = []
    with _open_files(folder.path) as open_file:
        first = _decode_one(folder, folder.train[0], open_file)
        for names in (folder.train, folder.test):
            images = np.empty((len(names), *first.shape), np.uint8)  # (N, 3, H, W)
            for index, name in enumerate(names):
                image = _decode_one(folder, name, open_file)
                _check_shape(folder, name, shape=image.shape, expected=first.shape)
                images[index] = image
            arrays += [images, np.array([labels[_class(name)] for name in names], np.int64)]
    return Arrays(*arrays)


def _decode_one(folder: Folder, name: str, open_file: Callable[[str], IO[bytes]]) -> Bytes:
    """Decode one image to (3, H, W)."""
    from PIL import Image

    try:
        with open_file(name) as file:
            return np.asarray(Image.open(file).convert("RGB"), np.uint8).transpose(2, 0, 1)
    except DECODING_ERRORS as error:
        raise DataError(
            f"The image {name} in {folder.path} does not decode ({error}). Replace or remove it."
        ) from error


def _check_shape(
    folder: Folder, name: str, *, shape: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    if shape != expected:
        raise DataError(
            f"The image {name} in {folder.path} is {shape[2]} x {shape[1]} pixels, but "
            f"{folder.train[0]} is {expected[2]} x {expected[1]}. Make all images the same size."
        )
