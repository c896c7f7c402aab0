"""One process at a time stores evidence into a folder. No lock file remains."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make other processes on this machine wait before they store into the folder.

    Otherwise what they store between our reading and writing a file would be lost. The folder
    itself is locked. Windows and some network file systems cannot lock a folder: there a file in
    the temporary folder is locked, which Windows removes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = _locked(folder)
    if descriptor is None:
        with _locked_file(folder):
            yield
        return
    try:
        yield
    finally:
        os.close(descriptor)  # frees the lock, as the end of the process does


def _locked(folder: Path) -> int | None:
    """A descriptor of the folder that holds its lock; None where folders cannot be locked."""
    if sys.platform == "win32":
        return None
    import fcntl  # noqa: PLC0415 -- POSIX only

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError):
            return None
        raise
    return descriptor


@contextmanager
def _locked_file(folder: Path) -> Iterator[None]:
    from filelock import FileLock  # noqa: PLC0415 -- needed only where folders cannot be locked

    user = getattr(os, "getuid", int)()  # another user's lock file could not be opened
    name = hashlib.sha256(f"{user} {folder.resolve()}".encode()).hexdigest()[:16]
    with FileLock(Path(tempfile.gettempdir()) / f"initcheck-{name}.lock"):
        yield
