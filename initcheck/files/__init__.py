"""Files: read only if regular, JSON read strictly, written whole or not at all; and templates."""

from initcheck.files.text import (
    UnreadableError,
    is_same,
    is_there,
    parse_json,
    read_json,
    read_text,
    write_atomic,
)

__all__ = [
    "UnreadableError", "is_same", "is_there", "parse_json", "read_json", "read_text",
    "write_atomic",
]  # fmt: skip
