"""The names of Unicode 3.2's characters, a text that every Python ships.

CPython keeps the Unicode 3.2 database because `stringprep` (RFC 3454) needs it, and Unicode never
changes a character's name (its stability policy). So the text is the same on every Python, without
a file or a network. This module imports nothing but the standard library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from unicodedata import ucd_3_2_0

# The code points between which characters have a name of their own. Ideographs, syllables of Hangul
# and Yi, and private use are left out: their names are numbers, or a table of sounds.
BLOCKS = ((0x0000, 0x3400), (0xA490, 0xAC00), (0xFB00, 0x20000), (0xE0000, 0xE0080))
TEST_SHARE = 26  # of 256: a tenth of the names

SYMBOLS = "\n -0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"  # a token is a symbol's place here


def names() -> list[str]:
    """Return the 11,721 names, in the order of their code points."""
    found = (ucd_3_2_0.name(chr(code), "") for start, end in BLOCKS for code in range(start, end))
    return [name for name in found if name]


def parts() -> tuple[str, str]:
    """Return the training text and the test text, a name a line.

    A name is in the test text if the first byte of its SHA-256 is below 26. The lines of each text
    are in the order of these digests, so that similar names are not neighbours.
    """
    digests = {name: hashlib.sha256(name.encode()).digest() for name in names()}
    by_digest = sorted(digests, key=digests.__getitem__)
    test = [name for name in by_digest if digests[name][0] < TEST_SHARE]
    return _lines(by_digest[len(test) :]), _lines(test)


def _lines(each: Iterable[str]) -> str:
    return "".join(f"{name}\n" for name in each)


def digest() -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of both texts, one after the other."""
    return hashlib.sha256("".join(parts()).encode()).hexdigest()[:16]
