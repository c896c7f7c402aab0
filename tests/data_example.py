"""What the tests of data sets and of their cache share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from initcheck import data_cache, datasets
from initcheck.datasets import MNIST5K_FINGERPRINT, DataError, load

LOADERS = ("_load_mnist5k", "_load_mnist", "_load_cifar10", "_load_folder")


def forget() -> None:
    """Keep nothing in this process that was loaded before."""
    for loader in LOADERS:
        getattr(datasets, loader).cache_clear()


def message(name: str, **options: Any) -> str:
    """What is said when `name` is refused."""
    with pytest.raises(DataError) as caught:
        load(name, **options)
    return str(caught.value)


def load_would_use(directory: Path) -> bool:
    """Whether the cache in `directory` holds a copy that a later load accepts."""
    path = directory / f"mnist5k-{MNIST5K_FINGERPRINT}.npz"
    return data_cache._read_cache(path, MNIST5K_FINGERPRINT) is not None
