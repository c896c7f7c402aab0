"""All evidence of a folder in one compressed file, as a wheel has it.

It takes half the room of one compressed file per claim, since arms and their records repeat. The
build of the wheel runs this file by itself, so it imports nothing but the standard library.
"""

from __future__ import annotations

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

NAME = "evidence.json.xz"


def pack(folder: Path) -> bytes:
    """All evidence files of a folder: an object by the names of the files, without suffix."""
    evidence = {
        path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))
    }
    return lzma.compress(json.dumps(evidence, separators=(",", ":")).encode(), preset=9)


def unpack(path: Path) -> dict[str, Any]:
    """What ``pack`` wrote; do not change it, since it is kept.

    Raises:
        OSError: the file cannot be read. The ``strerror`` says why.
    """
    return _unpacked(path, path.stat().st_mtime_ns)


@cache
def _unpacked(path: Path, _modified: int) -> dict[str, Any]:
    try:
        evidence: dict[str, Any] = json.loads(lzma.decompress(path.read_bytes()))
    except (lzma.LZMAError, ValueError) as error:
        raise OSError(0, f"it is damaged ({error})") from None
    return evidence
