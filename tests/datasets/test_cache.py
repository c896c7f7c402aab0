"""The cache returns what was stored, or the arrays are built again; it never raises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from initcheck.datasets import cache
from initcheck.datasets.arrays import Arrays, fingerprint
from initcheck.datasets.cache import through_cache

pytestmark = pytest.mark.usefixtures("isolated_data")
IMAGES = np.ones((9, 1, 28, 28), np.uint8)  # most of the file, so that its middle byte is a pixel
ARRAYS = Arrays(IMAGES, np.arange(9), IMAGES[:1], np.array([1]))


def build() -> Arrays:
    """What the cache stores."""
    return ARRAYS


def never() -> Arrays:
    """For a key that must be in the cache."""
    raise AssertionError


def test_cache_is_written_once_and_read_afterwards(own_cache: Path) -> None:
    assert through_cache("key", build) is ARRAYS
    assert [path.name for path in own_cache.iterdir()] == ["key.npz"]
    read = through_cache("key", never)
    assert read is not ARRAYS
    assert fingerprint(read) == fingerprint(ARRAYS)


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other", "text", "directory"])
def test_damaged_copy_is_built_again(own_cache: Path, damage: str) -> None:
    through_cache("key", build)
    (path,) = own_cache.iterdir()
    whole = path.read_bytes()
    middle = len(whole) // 2
    if damage == "other":  # an intact archive whose fingerprint belongs to other arrays
        other = dict(ARRAYS.named(), test_labels=np.array([0]))
        np.savez(path, fingerprint=fingerprint(ARRAYS), **other)
    elif damage == "directory":
        path.unlink()
        path.mkdir()
    else:
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        content = {"empty": b"", "cut": whole[:middle], "flipped": flipped, "text": b"hello"}
        path.write_bytes(content[damage])
    assert through_cache("key", build) is ARRAYS
    if damage != "directory":
        assert fingerprint(through_cache("key", never)) == fingerprint(ARRAYS)
    assert [kept.name for kept in own_cache.iterdir()] == [path.name]


def test_unwritable_cache_directory_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in place of the directory stops even the superuser."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert through_cache("key", build) is ARRAYS


def test_missing_home_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home(_path: Path) -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", no_home)
    assert cache._cache_directory().name == "initcheck"


def test_interrupted_write_leaves_nothing_behind(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: object, **_arrays: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert through_cache("key", build) is ARRAYS
    assert list(own_cache.iterdir()) == []
