"""Data: whole data sets as tensors, with a fingerprint that says which data some evidence is about.

No DataLoader, no transform, no augmentation: images are decoded once and stay in memory. Nothing is
downloaded unless asked for, and torchvision and pandas are imported only where they are used.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from initcheck.datasets.arrays import Arrays, DataError
from initcheck.datasets.cache import through_cache
from initcheck.datasets.dataset import DataSet, to_dataset
from initcheck.datasets.folders import decode, find_images
from initcheck.datasets.mnist5k import load_mnist5k

KNOWN = ("mnist5k", "mnist", "cifar10", "folder:PATH")
DATA_ROOT_VARIABLE = "INITCHECK_DATA_ROOT"
CIFAR10_JPEG = "cifar10-jpeg"  # CIFAR-10 re-encoded as JPEG in ImageFolder layout: other pixels


def load(name: str, *, root: Path | None = None, download: bool = False) -> DataSet:
    """Return the data set `name` on the CPU; the same call returns the same object.

    `root` is where torchvision's data lies, else the variable `INITCHECK_DATA_ROOT` says where.
    "mnist5k" needs none. "cifar10" falls back to the JPEG files in `<root>/cifar10-jpeg` or
    `<root>/cifar10-jpeg.zip` and is then named "cifar10-jpeg". "folder:PATH" reads RGB images from
    `PATH/train/CLASS/...` and `PATH/test/CLASS/...`.

    Raises:
        DataError: the name is unknown, or data are missing, damaged or not the expected ones.
    """
    kind, _, path = name.partition(":")
    if kind == "folder" and path:
        return _load_folder(Path(path).expanduser().resolve())
    if name == "mnist5k":
        return load_mnist5k()
    if name not in KNOWN:
        raise DataError(f"There is no data set '{name}'; ask for one of {', '.join(KNOWN)}.")
    place = _resolve_root(name, root)
    if download:
        _fetch(name, place)
    return _load_mnist(place) if name == "mnist" else _load_cifar10(place)


def forget() -> None:
    """Keep nothing that was loaded: whoever asks next gets the data as they are stored."""
    for loader in (load_mnist5k, _load_mnist, _load_cifar10, _load_folder):
        loader.cache_clear()


def _resolve_root(name: str, root: Path | None) -> Path:
    chosen = root or os.environ.get(DATA_ROOT_VARIABLE)
    if not chosen:
        raise DataError(
            f"The data set '{name}' was asked for without a place to look for it; "
            f"{_mend('it')}. The data set 'mnist5k' needs no files."
        )
    return Path(chosen).expanduser().resolve()


def _mend(what: str) -> str:
    return (
        f"say where {what} lies with `--initcheck-data-root DIR` or {DATA_ROOT_VARIABLE}=DIR, "
        "or let torchvision fetch it there with `--initcheck-data-root DIR --initcheck-download`"
    )


# ---- from arrays to tensors ----------------------------------------------------------------------


# ---- mnist5k -------------------------------------------------------------------------------------


# ---- torchvision's data sets ---------------------------------------------------------------------


def _torchvision_datasets() -> Any:
    try:
        return importlib.import_module("torchvision.datasets")
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        raise DataError(
            f"torchvision does not import beside torch {torch.__version__} ({error}); install the "
            "torchvision that belongs to this torch (`pip install torchvision`)."
        ) from error


def _fetch(name: str, root: Path) -> None:
    """Let torchvision download what is missing; complete data are left alone."""
    missing = _missing_mnist(root) if name == "mnist" else not _cifar10_places(root)
    if not missing:
        return
    dataset = {"mnist": "MNIST", "cifar10": "CIFAR10"}[name]
    try:
        getattr(_torchvision_datasets(), dataset)(root=str(root), download=True)
    except (OSError, RuntimeError) as error:  # URLError is an OSError
        raise DataError(
            f"The data set '{name}' could not be downloaded to {root}: {error}. Put the files "
            f"there by hand, or {_mend('an existing copy')}."
        ) from error


def _mnist_files(root: Path) -> list[Path]:
    parts = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return [root / "MNIST" / "raw" / f"{part}-ubyte" for part in parts]


def _missing_mnist(root: Path) -> list[Path]:
    return [path for path in _mnist_files(root) if not path.is_file()]


@functools.cache
def _load_mnist(root: Path) -> DataSet:
    if missing := _missing_mnist(root):
        raise DataError(
            "The data set 'mnist' was asked for; missing are "
            f"{', '.join(map(str, missing))}. To mend it, {_mend('it')}."
        )
    for path in _mnist_files(root):
        _check_idx(path)  # torchvision looks only whether files exist
    dataset = _torchvision_datasets().MNIST
    parts = [dataset(root=str(root), train=train, download=False) for train in (True, False)]
    arrays = [array for part in parts for array in (part.data[:, None], part.targets)]
    arrays = [array.contiguous().numpy() for array in arrays]  # (N, 1, 28, 28), (N,), ...
    return to_dataset("mnist", Arrays(*arrays), classes=10)


def _check_idx(path: Path) -> None:
    """Compare a file's size with what its own header says.

    An idx file is two zero bytes, the type (8: uint8), the number of dimensions, each dimension as
    big-endian uint32, then the bytes.
    """
    dimensions = 3 if "idx3" in path.name else 1
    with path.open("rb") as file:
        header = file.read(4 + 4 * dimensions)
    found, expected = path.stat().st_size, 4 + 4 * dimensions
    if found >= expected:
        if header[:4] != bytes([0, 0, 8, dimensions]):
            raise DataError(f"{path} is not an idx{dimensions} file. {_replace_it(path)}")
        expected += int(np.prod(np.frombuffer(header[4:], ">u4"), dtype=np.int64))
    if found != expected:
        raise DataError(f"{path} has {found} bytes, expected {expected}. {_replace_it(path)}")


def _replace_it(path: Path) -> str:
    return f"Delete {path.name}, then put it back or fetch it again with `--initcheck-download`."


def _cifar10_places(root: Path) -> list[Path]:
    """Where CIFAR-10 lies, best first: torchvision's archive, the JPEG folder, the JPEG zip."""
    names = ("cifar-10-batches-py", CIFAR10_JPEG, f"{CIFAR10_JPEG}.zip")
    return [root / name for name in names if (root / name).exists()]


@functools.cache
def _load_cifar10(root: Path) -> DataSet:
    places = _cifar10_places(root)
    if not places:
        raise DataError(
            f"The data set 'cifar10' was asked for; looked for {root / 'cifar-10-batches-py'}, "
            f"{root / CIFAR10_JPEG} and {root / CIFAR10_JPEG}.zip. To mend it, {_mend('it')}."
        )
    if places[0].name.startswith(CIFAR10_JPEG):
        folder = find_images(places[0])
        arrays = through_cache(f"{CIFAR10_JPEG}-{folder.identity}", lambda: decode(folder))
        return to_dataset(CIFAR10_JPEG, arrays, classes=len(folder.classes))
    return to_dataset("cifar10", _read_cifar10(root), classes=10)


def _read_cifar10(root: Path) -> Arrays:
    dataset = _torchvision_datasets().CIFAR10
    try:
        parts = [dataset(root=str(root), train=train, download=False) for train in (True, False)]
    except (OSError, RuntimeError) as error:  # a file is missing or has another MD5
        raise DataError(
            f"The files in {root / 'cifar-10-batches-py'} are incomplete or damaged ({error}). "
            "Delete that folder, then put it back or fetch it again with `--initcheck-download`."
        ) from error
    arrays: list[Any] = []
    for part in parts:
        arrays.append(np.ascontiguousarray(part.data.transpose(0, 3, 1, 2)))  # (N, 3, 32, 32)
        arrays.append(np.asarray(part.targets, np.int64))
    return Arrays(*arrays)


# ---- folders of images ---------------------------------------------------------------------------


@functools.cache
def _load_folder(path: Path) -> DataSet:
    folder = find_images(path)
    return to_dataset(f"folder:{path.name}", decode(folder), classes=len(folder.classes))
