"""Images in folders named by their class, or in a zip of such folders, decoded into arrays."""

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

# What Pillow (SyntaxError: a PNG) and archives (the last three) raise for damaged bytes.
BROKEN = (OSError, SyntaxError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Folder:
    """Images in `ImageFolder` layout, in a directory or, where `path` is a file, in a zip archive.

    `train` and `test` are sorted names such as "train/frog/0001.jpg"; `classes` are the sorted
    names of the folders below "train"; `identity` changes when a file comes, goes or changes.
    """

    path: Path
    train: list[str]
    test: list[str]
    classes: list[str]
    identity: str


def find_images(path: Path) -> Folder:
    """Return what the folder or zip archive at `path` holds, without decoding any of it.

    Raises:
        DataError: a part or a class has no images, or the archive is damaged.
    """
    stamps = dict(sorted(_stamps(path)))
    train = [name for name in stamps if name.startswith("train/")]
    test = [name for name in stamps if name.startswith("test/")]
    for part, names in (("train", train), ("test", test)):
        if not names:
            raise DataError(
                f"{path} holds no image named like {part}/CLASS/IMAGE.png; give a folder (or a zip "
                "of one) with `train` and `test` in it, each with one folder a class."
            )
    classes = sorted({_class(name) for name in train})
    if unseen := {_class(name) for name in test} - set(classes):
        raise DataError(
            f"{path} has the classes {', '.join(sorted(unseen))} in `test` only; "
            "add training images of them, or remove them."
        )
    stamped = "\n".join(f"{name} {stamp}" for name, stamp in stamps.items())
    identity = hashlib.sha256(stamped.encode()).hexdigest()[:16]
    return Folder(path, train, test, classes, identity)


def _class(name: str) -> str:
    return name.split("/")[1]


def _stamps(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the name of each image and what changes with its content."""
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
        raise DataError(f"{path} is not a whole zip archive; put it there again.") from error


def _directory_entries(path: Path) -> Iterator[tuple[str, str]]:
    for file in path.rglob("*.*"):
        status = file.stat()
        yield file.relative_to(path).as_posix(), f"{status.st_mtime_ns} {status.st_size}"


@contextmanager
def _open_files(path: Path) -> Iterator[Callable[[str], IO[bytes]]]:
    """Give a function that opens an image for reading by its name."""
    if path.is_dir():
        yield lambda name: (path / name).open("rb")
        return
    with zipfile.ZipFile(path) as archive:
        inside = set(archive.namelist())
        prefixed = f"{path.stem}/"
        yield lambda name: archive.open(prefixed + name if prefixed + name in inside else name)


def decode(folder: Folder) -> Arrays:
    """Decode every image as RGB; all must have the size of the first.

    Raises:
        DataError: an image does not decode or has another size.
    """
    labels = {name: number for number, name in enumerate(folder.classes)}
    arrays: list[Any] = []
    with _open_files(folder.path) as open_file:
        first = _decode_one(folder, folder.train[0], open_file)
        for names in (folder.train, folder.test):
            images = np.empty((len(names), *first.shape), np.uint8)  # (N, 3, H, W)
            for index, name in enumerate(names):
                image = _decode_one(folder, name, open_file)
                _check_size(folder, name, found=image.shape, expected=first.shape)
                images[index] = image
            arrays += [images, np.array([labels[_class(name)] for name in names], np.int64)]
    return Arrays(*arrays)


def _decode_one(folder: Folder, name: str, open_file: Callable[[str], IO[bytes]]) -> Bytes:
    """Return (3, H, W)."""
    from PIL import Image

    try:
        with open_file(name) as file:
            return np.asarray(Image.open(file).convert("RGB"), np.uint8).transpose(2, 0, 1)
    except BROKEN as error:
        raise DataError(
            f"The image {name} in {folder.path} does not decode ({error}); replace or remove it."
        ) from error


def _check_size(
    folder: Folder, name: str, *, found: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    if found != expected:
        raise DataError(
            f"The image {name} in {folder.path} is {found[2]} x {found[1]} pixels, but "
            f"{folder.train[0]} is {expected[2]} x {expected[1]}; make all images the same size."
        )
