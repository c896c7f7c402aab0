"""What the ids in a claim's source stand for, read from the project's ``docs/sources.md``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PAGE = "sources.md"
ROW = re.compile(r'^\| <a id="([^"]+)"></a>`\1` \| (.+?) \| (.+?) \|$', flags=re.MULTILINE)
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True)
class Source:
    """One row of the page: what an id says, and where it is from. Both are Markdown."""

    statement: str
    origin: str

    @property
    def text(self) -> str:
        """The row without links and without code marks."""
        return LINK.sub(r"\1", f"{self.statement} ({self.origin})").replace("`", "")


def read_sources(start: Path) -> dict[str, Source]:
    """The sources by id, from the nearest ``docs/sources.md`` in this folder or further up.

    Empty if there is no such page.
    """
    pages = (folder / "docs" / PAGE for folder in (start, *start.parents))
    page = next((page for page in pages if page.is_file()), None)
    text = page.read_text(encoding="utf-8") if page else ""
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
