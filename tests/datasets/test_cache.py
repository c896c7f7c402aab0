"""The cache gives back what was put there, or the data are built again; it never is an error."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from initcheck import datasets
from initcheck.datasets import MNIST5K_FINGERPRINT, cache, load, mnist5k
from tests.helpers.data import load_would_use

pytestmark = pytest.mark.usefixtures("isolated_data")


def test_cache_is_written_once_and_read_afterwards(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load("mnist5k")
    assert [path.suffix for path in own_cache.iterdir()] == [".npz"]
    datasets.forget()
    monkeypatch.setattr(mnist5k, "_read_mnist5k", None)
    second = load("mnist5k")
    assert first is not second
    assert torch.equal(first.train_inputs, second.train_inputs)
    assert torch.equal(first.test_targets, second.test_targets)


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other", "text", "directory"])
def test_damaged_cache_is_built_again(
    own_cache: Path, damage: str, stored_mnist5k: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist5k, "_read_mnist5k", lambda: stored_mnist5k)
    load("mnist5k")
    (path,) = own_cache.iterdir()
    whole = path.read_bytes()
    middle = len(whole) // 2
    if damage == "other":  # intact in itself, but other data
        other = replace(stored_mnist5k, test_images=stored_mnist5k.test_images[::-1])
        cache._write_cache(path, other)
    elif damage == "directory":
        path.unlink()
        path.mkdir()
    else:
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        content = {"empty": b"", "cut": whole[:middle], "flipped": flipped, "text": b"hello"}
        path.write_bytes(content[damage])
    assert not load_would_use(own_cache)
    datasets.forget()
    assert load("mnist5k").fingerprint == MNIST5K_FINGERPRINT
    assert load_would_use(own_cache) is (damage != "directory")
    assert [found.name for found in own_cache.iterdir()] == [path.name]


def test_unwritable_cache_directory_is_no_error(
    tmp_path: Path, stored_mnist5k: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file stands where the directory should be, which stops even the superuser."""
    monkeypatch.setattr(mnist5k, "_read_mnist5k", lambda: stored_mnist5k)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert load("mnist5k").fingerprint == MNIST5K_FINGERPRINT


def test_missing_home_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(_path: Path) -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", no_home)
    assert cache._cache_directory().name == "initcheck"


def test_interrupted_write_leaves_nothing_behind(
    own_cache: Path, stored_mnist5k: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mnist5k, "_read_mnist5k", lambda: stored_mnist5k)

    def full(*_args: object, **_arrays: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    load("mnist5k")
    assert list(own_cache.iterdir()) == []
