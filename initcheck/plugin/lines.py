"""Lines of text as pytest's terminal shows them."""

from __future__ import annotations

import textwrap

import pytest

from initcheck.results import ORDER


def say(reporter: pytest.TerminalReporter, sentence: str) -> None:
    """Print a sentence in lines of at most 100 columns, without breaking paths or commands."""
    lines = textwrap.wrap(
        sentence, 100, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    for line in lines:
        reporter.line(line)


def colour(line: str) -> dict[str, bool]:
    """Green for a line that ends in pass, red for any other verdict."""
    last = line.split()[-1:]
    if last == ["pass"]:
        return {"green": True}
    return {"red": True} if last and last[0] in ORDER[1:] else {}
