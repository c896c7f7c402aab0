"""Images and labels as they are stored, and their fingerprint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Bytes: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"
Labels: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"


class DataError(ValueError):
    """Data are missing, damaged or not the expected ones; the message says how to fix that."""


@dataclass(frozen=True)
class Arrays:
    """A data set as it is stored: images (N, C, H, W) uint8, labels (N,) int64."""

    train_images: Bytes
    train_labels: Labels
    test_images: Bytes
    test_labels: Labels

    def named(self) -> dict[str, Any]:
        """Return the four arrays by name, in the order of the fields."""
        return dict(vars(self))


def fingerprint(arrays: Arrays) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of all shapes, dtypes and values."""
    digest = hashlib.sha256()
    for array in arrays.named().values():
        # Little-endian, so that the fingerprint is the same on every processor.
        digest.update(f"{array.shape}{array.dtype.name}".encode())
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)
    return digest.hexdigest()[:16]
