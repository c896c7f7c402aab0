"""Writing files atomically: an interrupted write leaves the old file intact."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

# Errors of a file that can be written but not replaced: its folder is read-only, or it is a mount.
NOT_REPLACEABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY})


def write_atomic(path: Path, text: str) -> None:
    """Write the text to a temporary file in the same folder, then replace the file by it.

    Links are followed, and missing folders are created. Devices, pipes, standard output and files
    that cannot be replaced are written directly.

    Raises:
        OSError: the file cannot be written.
        UnicodeEncodeError: the text cannot be encoded as UTF-8; then nothing is written.
    """
    content = text.encode()  # before any file is opened
    stream = _standard_stream(path)
    if stream is not None:
        with os.fdopen(stream, "wb", closefd=False) as file:
            file.write(content)
    elif path.exists() and not path.is_file():
        path.write_bytes(content)
    else:
        _write_file(Path(os.path.realpath(path)), content)


def _standard_stream(path: Path) -> int | None:
    """The descriptor of standard output or error, if it goes to this path (as with /dev/stdout).

    If the path were opened again or replaced, text printed before or after would be lost.
    """
    for stream in (1, 2):
        with suppress(OSError):  # the path does not exist, or the stream is closed
            if os.path.samestat(os.fstat(stream), path.stat()):
                return stream
    return None


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _replace(path, content)
    except OSError as error:
        if error.errno not in NOT_REPLACEABLE or not path.exists():
            raise
        path.write_bytes(content)


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
