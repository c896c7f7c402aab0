"""Decoded images, kept in the user's cache directory. A damaged copy is replaced, never used."""

from __future__ import annotations

import os
import tempfile
import uuid
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from initcheck.datasets.arrays import Arrays, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable


def through_cache(key: str, build: Callable[[], Arrays]) -> Arrays:
    """Return the cached arrays of this key. If there is no intact copy, build and store them."""
    path = _cache_directory() / f"{key}.npz"
    arrays = _read_cache(path)
    if arrays is None:
        arrays = build()
        _write_cache(path, arrays)
    return arrays


def _cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache")
    try:
        return Path(base).expanduser() / "initcheck"
    except RuntimeError:  # there is no home directory
        return Path(tempfile.gettempdir()) / "initcheck"


def _read_cache(path: Path) -> Arrays | None:
    try:
        # Opened here because np.load does not close a file that turns out not to be an archive.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            written = str(stored["fingerprint"])
            arrays = Arrays(*(stored[name] for name in Arrays.__dataclass_fields__))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return arrays if fingerprint(arrays) == written else None


def _write_cache(path: Path, arrays: Arrays) -> None:
    """Write atomically, so that other processes see the whole file or none.

    A file that cannot be written is no error: the images will be decoded again.
    """
    part = path.with_name(f"{path.stem}.{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("xb") as file:
            np.savez(file, fingerprint=fingerprint(arrays), **arrays.named())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
