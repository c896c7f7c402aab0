"""Markdown pages: their templates, and the one way to write their tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""A Markdown table with one line per row, without padding and without a newline at its end.

    Cells are written by ``str``; a ``|`` inside a cell becomes ``\|``.
    """
    import pandas as pd

    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    frame = pd.DataFrame(cells, columns=list(head))
    # Without alignment nothing is padded, so a longer cell changes only its own line.
    text: str = frame.to_markdown(
        index=False, tablefmt="github", disable_numparse=True, stralign=None
    )
    return text


def template(package: str, name: str) -> jinja2.Template:
    """A template of a Markdown page from ``initcheck/<package>/templates/``.

    Inside it, ``table(head, rows)`` writes a table. A name that is not passed to it is an error.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("initcheck", f"{package}/templates"),
        autoescape=False,  # noqa: S701 -- Markdown, written from the project's own files
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["table"] = table
    return environment.get_template(name)


def single_blank_lines(text: str) -> str:
    """The text with one newline at its end, and without blank lines that follow another one.

    Parts of a template that write nothing leave such lines.
    """
    lines = text.splitlines()
    kept = [line for line, before in zip(lines, ["", *lines], strict=False) if line or before]
    return "\n".join(kept).rstrip() + "\n"
