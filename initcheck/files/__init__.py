"""Files: read only if regular, JSON read strictly, written whole or not at all; and templates."""

from initcheck.files.text import is_same, is_there, parse_json, read_text, write_atomic

__all__ = ["is_same", "is_there", "parse_json", "read_text", "write_atomic"]
