"""Templates of pages and pictures, and the one way to write a Markdown table.

jinja2 and pandas are imported where a page is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""A Markdown table with one line per row, without padding and without a newline at its end.

    Cells are written by ``str``; a ``|`` inside a cell becomes ``\|``.
    """
    import pandas as pd  # noqa: PLC0415 -- see above

    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    frame = pd.DataFrame(cells, columns=list(head))
    # Without alignment nothing is padded, so a longer cell changes only its own line.
    text: str = frame.to_markdown(
        index=False, tablefmt="github", disable_numparse=True, stralign=None
    )
    return text


def single_blank_lines(text: str) -> str:
    """The text with one newline at its end, and without blank lines that follow another one.

    Parts of a template that write nothing leave such lines.
    """
    lines = text.splitlines()
    kept = [line for line, before in zip(lines, ["", *lines], strict=False) if line or before]
    return "\n".join(kept).rstrip() + "\n"


def markdown_template(package: str, name: str) -> jinja2.Template:
    """A template of a Markdown page from ``initcheck/<package>/templates/``.

    Inside it, ``table(head, rows)`` writes a table. A name that is not passed to it is an error.
    """
    environment = _environment(package, autoescape=False, keep_trailing_newline=True)
    environment.globals["table"] = table
    return environment.get_template(name)


@cache
def html_template(package: str, name: str, **filters: Callable[..., Any]) -> jinja2.Template:
    """A template of an HTML page or a drawing from ``initcheck/<package>/templates/``.

    What is passed to it is escaped. A name that is not passed to it is an error.
    """
    # Not escaped by the file's name: select_autoescape does not know .html.j2.
    environment = _environment(package, autoescape=True)
    environment.filters |= filters
    return environment.get_template(name)


def _environment(package: str, **options: Any) -> jinja2.Environment:
    import jinja2  # noqa: PLC0415 -- see above

    return jinja2.Environment(  # noqa: S701 -- Markdown is written from the project's own files
        loader=jinja2.PackageLoader("initcheck", f"{package}/templates"),
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, **options,
    )  # fmt: skip
