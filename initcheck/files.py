"""Files as they are written: whole or not at all, and into what cannot be replaced."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

# Why a file may be written and not replaced: its folder takes no other file, or it is mounted.
IRREPLACEABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY})


def write_atomic(path: Path, text: str) -> None:
    """Write beside the file and put it in place at once: interrupted, the old one stays whole.

    A link is followed. What can only be written into is: a device, a pipe, standard output, and a
    file that may not be replaced.
    """
    content = text.encode()  # before anything is opened: what cannot be encoded spoils no file
    stream = _standard_stream(path)
    if stream is not None:
        with os.fdopen(stream, "wb", closefd=False) as file:
            file.write(content)
    elif path.exists() and not path.is_file():
        path.write_bytes(content)
    else:
        _write_file(Path(os.path.realpath(path)), content)


def _standard_stream(path: Path) -> int | None:
    """Output's or error's descriptor, where the path names what it goes to, as /dev/stdout does.

    Opened a second time or replaced, a file would lose what is printed before or after.
    """
    for stream in (1, 2):
        with suppress(OSError):  # nothing is there, or nothing is printed to
            if os.path.samestat(os.fstat(stream), path.stat()):
                return stream
    return None


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _replace(path, content)
    except OSError as error:
        if error.errno not in IRREPLACEABLE or not path.exists():
            raise
        path.write_bytes(content)


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
