"""The embedded digits: 5,000 images of MNIST. mnist5k.txt has their source, licence and split."""

from __future__ import annotations

import functools
import zipfile
import zlib
from pathlib import Path

import numpy as np

from initcheck.datasets.arrays import Arrays, DataError
from initcheck.datasets.dataset import DataSet, to_dataset

MNIST5K_FINGERPRINT = "7b58496bc397b12c"  # of the images that all evidence was recorded on
FILE = Path(__file__).with_name("mnist5k.npz")


@functools.cache
def load_mnist5k() -> DataSet:
    """Return the embedded digits: 4,000 training and 1,000 test images.

    Raises:
        DataError: the package's file is missing or damaged, or holds other images.
    """
    dataset = to_dataset("mnist5k", _read(FILE), classes=10)
    if dataset.fingerprint != MNIST5K_FINGERPRINT:
        raise DataError(
            f"{FILE} has the fingerprint {dataset.fingerprint}, but the evidence was recorded on "
            f"{MNIST5K_FINGERPRINT}. {_restore()}"
        )
    return dataset


def _read(path: Path) -> Arrays:
    try:
        # Opened here because np.load does not close a file that turns out not to be an archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return Arrays(
                train_images=stored["train_images"],
                train_labels=stored["train_labels"].astype(np.int64),
                test_images=stored["test_images"],
                test_labels=stored["test_labels"].astype(np.int64),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is missing or damaged ({error}). {_restore()}") from error


def _restore() -> str:
    return (
        "Restore it: in a checkout run `git restore initcheck/datasets/mnist5k.npz`, elsewhere "
        "`pip install --force-reinstall --no-deps initcheck`."
    )
