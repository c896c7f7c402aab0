"""Data sets by name, read whole into memory.

There is no DataLoader, transform or augmentation: each image is decoded once. Nothing is downloaded
unless `download` is set, and torchvision is imported only when MNIST or CIFAR-10 is read.
"""

from __future__ import annotations

import functools
import importlib
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
from initcheck.datasets.names import load_names

KNOWN = ("mnist5k", "names", "mnist", "cifar10", "folder:PATH")
DATA_ROOT_VARIABLE = "INITCHECK_DATA_ROOT"
CIFAR10_JPEG = "cifar10-jpeg"  # CIFAR-10 as JPEG files in ImageFolder layout; its pixels differ


def load(name: str, *, root: Path | None = None, download: bool = False) -> DataSet:
    """Return a data set on the CPU; the same call returns the same object.

    Args:
        name: "mnist5k" (digits) ships with the package and "names" (text) with Python. "mnist" and
            "cifar10" are read from `root`.
            "cifar10" falls back to the JPEG files in `<root>/cifar10-jpeg` or
            `<root>/cifar10-jpeg.zip`; the data set is then named "cifar10-jpeg". "folder:PATH"
            reads RGB images from `PATH/train/CLASS/...` and `PATH/test/CLASS/...`.
        root: the folder with torchvision's data; by default the variable INITCHECK_DATA_ROOT.
        download: let torchvision download missing files to `root`.

    Raises:
        DataError: the name is unknown, or the data are missing, damaged or not the expected ones.
    """
    kind, _, path = name.partition(":")
    if kind == "folder" and path:
        return _load_folder(Path(path).expanduser().resolve())
    if name == "mnist5k":
        return load_mnist5k()
    if name == "names":
        return load_names()
    if name not in KNOWN:
        raise DataError(f"There is no data set '{name}'. Choose one of {', '.join(KNOWN)}.")
    folder = _resolve_root(name, root)
    if download:
        _download(name, folder)
    return _load_mnist(folder) if name == "mnist" else _load_cifar10(folder)


def forget() -> None:
    """Drop all loaded data sets, so that the next `load` reads the stored data again."""
    for loader in (load_mnist5k, load_names, _load_mnist, _load_cifar10, _load_folder):
        loader.cache_clear()


def _resolve_root(name: str, root: Path | None) -> Path:
    chosen = root or os.environ.get(DATA_ROOT_VARIABLE)
    if not chosen:
        raise DataError(
            f"The data set '{name}' was requested, but not the folder to read it from. "
            f"{_how_to_provide('it')} The data sets 'mnist5k' and 'names' need no folder."
        )
    return Path(chosen).expanduser().resolve()


def _how_to_provide(what: str) -> str:
    return (
        f"Name the folder that has {what} with `--initcheck-data-root DIR` or "
        f"{DATA_ROOT_VARIABLE}=DIR, or let torchvision download it there with "
        "`--initcheck-data-root DIR --initcheck-download`."
    )


# ---- torchvision's data sets ---------------------------------------------------------------------


def _torchvision_datasets() -> Any:
    try:
        return importlib.import_module("torchvision.datasets")
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        raise DataError(
            f"torchvision cannot be imported together with torch {torch.__version__} ({error}). "
            "Install the torchvision made for this torch (`pip install torchvision`)."
        ) from error


def _download(name: str, root: Path) -> None:
    """Let torchvision download the data set if it is missing."""
    missing = _missing_mnist(root) if name == "mnist" else not _cifar10_copies(root)
    if not missing:
        return
    class_name = {"mnist": "MNIST", "cifar10": "CIFAR10"}[name]
    try:
        getattr(_torchvision_datasets(), class_name)(root=str(root), download=True)
    except (OSError, RuntimeError) as error:  # URLError is an OSError
        raise DataError(
            f"The data set '{name}' could not be downloaded to {root}: {error}. Copy the files "
            "there by hand, or name a folder that has them with `--initcheck-data-root DIR`."
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
            "The data set 'mnist' was requested, but these files are missing: "
            f"{', '.join(map(str, missing))}. {_how_to_provide('them')}"
        )
    for path in _mnist_files(root):
        _check_idx(path)  # torchvision looks only whether files exist
    mnist = _torchvision_datasets().MNIST
    parts = [mnist(root=str(root), train=train, download=False) for train in (True, False)]
    tensors = [tensor for part in parts for tensor in (part.data[:, None], part.targets)]
    arrays = [tensor.contiguous().numpy() for tensor in tensors]  # (N, 1, 28, 28), (N,), ...
    return to_dataset("mnist", Arrays(*arrays), classes=10)


def _check_idx(path: Path) -> None:
    """Check that a file has the size that its own header states.

    An idx file has two zero bytes, the type (8 for uint8), the number of dimensions, each dimension
    as big-endian uint32, and then the data.

    Raises:
        DataError: the header is not that of an idx file, or the size is another one.
    """
    dimensions = 3 if "idx3" in path.name else 1
    with path.open("rb") as file:
        header = file.read(4 + 4 * dimensions)
    size, expected = path.stat().st_size, 4 + 4 * dimensions
    if size >= expected:
        if header[:4] != bytes([0, 0, 8, dimensions]):
            raise DataError(f"{path} is not an idx{dimensions} file. {_replace(path.name)}")
        expected += int(np.prod(np.frombuffer(header[4:], ">u4"), dtype=np.int64))
    if size != expected:
        raise DataError(f"{path} has {size} bytes, expected {expected}. {_replace(path.name)}")


def _replace(name: str) -> str:
    return f"Delete {name}, then copy it again or download it with `--initcheck-download`."


def _cifar10_copies(root: Path) -> list[Path]:
    """The copies of CIFAR-10 in a folder: torchvision's first, then JPEG files, then their zip."""
    names = ("cifar-10-batches-py", CIFAR10_JPEG, f"{CIFAR10_JPEG}.zip")
    return [root / name for name in names if (root / name).exists()]


@functools.cache
def _load_cifar10(root: Path) -> DataSet:
    copies = _cifar10_copies(root)
    if not copies:
        raise DataError(
            "The data set 'cifar10' was requested, but there is neither "
            f"{root / 'cifar-10-batches-py'} nor {root / CIFAR10_JPEG} nor "
            f"{root / CIFAR10_JPEG}.zip. {_how_to_provide('one of them')}"
        )
    if copies[0].name.startswith(CIFAR10_JPEG):
        folder = find_images(copies[0])
        arrays = through_cache(f"{CIFAR10_JPEG}-{folder.identity}", lambda: decode(folder))
        return to_dataset(CIFAR10_JPEG, arrays, classes=len(folder.classes))
    return to_dataset("cifar10", _read_cifar10(root), classes=10)


def _read_cifar10(root: Path) -> Arrays:
    cifar10 = _torchvision_datasets().CIFAR10
    try:
        parts = [cifar10(root=str(root), train=train, download=False) for train in (True, False)]
    except (OSError, RuntimeError) as error:  # a file is missing or has another MD5
        raise DataError(
            f"The files in {root / 'cifar-10-batches-py'} are incomplete or damaged ({error}). "
            f"{_replace('that folder')}"
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
