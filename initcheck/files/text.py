"""Text and JSON files: read only if regular, JSON strictly, and written whole or not at all."""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

# Errors of a file that can be written but not replaced: its folder is read-only, or it is a mount.
NOT_REPLACEABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY})

# Longer whole numbers exceed every float (1.8e308). Python refuses to read those of 4,300 digits.
MOST_DIGITS = 300


# --- reading --------------------------------------------------------------------------------------


def is_there(path: Path) -> bool:
    """Whether there is anything at a path, also a link to nothing or a file that is unreadable."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError:
        return True  # reading it gives the same error, with its reason
    return True


def is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, by links too, whether or not it exists yet."""
    with suppress(OSError):
        return one.samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


def read_text(path: Path) -> str:
    """The text of a regular file. A pipe or a device could keep the reader waiting for ever.

    Raises:
        OSError: there is no such file, it is not a regular one, or it cannot be read. The
            ``strerror`` is a sentence without its full stop.
        UnicodeDecodeError: it is not UTF-8.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            target = path.readlink()
            raise OSError(errno.ENOENT, f"it is a link to {target}, which does not exist") from None
        raise
    if not stat.S_ISREG(mode):
        kind = "folder" if stat.S_ISDIR(mode) else "pipe or a device"
        raise OSError(errno.EINVAL, f"it is a {kind}, not a regular file")
    return path.read_text(encoding="utf-8")


class UnreadableError(ValueError):
    """A file has no JSON that can be read. The message is a sentence without its full stop.

    Attributes:
        missing: whether there is no such file.
    """

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


def read_json(path: Path) -> Any:
    """The value of a regular file of JSON, read as strictly as by ``parse_json``.

    Raises:
        UnreadableError: the file is missing or not a regular one, cannot be read, is not UTF-8 or
            not such JSON. The message names the file.
    """
    try:
        return parse_json(read_text(path))
    except FileNotFoundError as error:
        problem = f"{path} cannot be read: {error.strerror}"
        raise UnreadableError(problem, missing=True) from None
    except UnicodeDecodeError:
        raise UnreadableError(f"{path} cannot be read: it is not UTF-8") from None
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UnreadableError(f"{path} {error}") from None


def parse_json(text: str) -> Any:
    """The value of a JSON text in which every number is finite and every key appears once.

    Raises:
        ValueError: the text is not such JSON. The message continues a sentence that begins with the
            name of the file.
    """
    try:
        value = json.loads(
            text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole,
            object_pairs_hook=_each_key_once,
        )  # fmt: skip
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ValueError(f"is not JSON at {place}: {error.msg}") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except UnicodeEncodeError:
        raise ValueError("has half of a surrogate pair, which is no character") from None
    return value


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"has a bare {constant}, and JSON has no such number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"has the number {text[:40]}, which is too large")
    return number


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise ValueError(f"has a whole number of {len(text)} digits, which is too large")
    return int(text)


def _each_key_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    known = dict(pairs)
    if len(known) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"has the key {twice!r} twice in one object")
    return known


# --- writing --------------------------------------------------------------------------------------


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
