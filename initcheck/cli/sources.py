"""What the ids of statements stand for, read from the project's pages in ``docs``.

``sources.md`` has the ids that claims name, ``refuted.md`` those that no claim tests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE = "sources.md"
UNCLAIMED = "refuted.md"
ROW = re.compile(r'^\| <a id="([^"]+)"></a>`\1` \| (.+?) \| (.+?) \|$', flags=re.MULTILINE)
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True)
class Source:
    """One row of a page. Both cells are Markdown.

    Attributes:
        statement: what the id says.
        origin: where it is from; on the page of unclaimed ids, why no claim tests it.
    """

    statement: str
    origin: str

    @property
    def text(self) -> str:
        """The row without links and without code marks."""
        return LINK.sub(r"\1", f"{self.statement} ({self.origin})").replace("`", "")


def read_sources(start: Path, page: str = PAGE) -> dict[str, Source]:
    """The rows by id of the nearest ``docs/`` page of this name, in this folder or further up.

    Empty if there is no such page.
    """
    pages = (folder / "docs" / page for folder in (start, *start.parents))
    file = next((file for file in pages if file.is_file()), None)
    text = file.read_text(encoding="utf-8") if file else ""
    return {name: Source(statement, origin) for name, statement, origin in ROW.findall(text)}


def ids(source: str, sources: Mapping[str, Source]) -> list[str]:
    """The ids of the page that a claim's source names, in its order."""
    return [word for word in re.findall(r"[\w-]+", source) if word in sources]


def linked(source: str, sources: Mapping[str, Source]) -> str:
    """A claim's source as Markdown, each id a link to its row."""
    return re.sub(
        r"[\w-]+",
        lambda word: f"[{word[0]}]({PAGE}#{word[0]})" if word[0] in sources else word[0],
        source,
    )
