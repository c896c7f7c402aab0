"""The claims as they are written in benchmarks/, read without running them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class WrittenClaim:
    """A claim's name, its docstring as written, and its source."""

    name: str
    docstring: str
    source: str


def written_claims() -> list[WrittenClaim]:
    """Every function with ``@claim(source=...)`` in benchmarks/test_*.py, in order of files."""
    files = sorted((ROOT / "benchmarks").glob("test_*.py"))
    return [claim for path in files for claim in _in_file(path)]


def _in_file(path: Path) -> list[WrittenClaim]:
    found = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        source = _source(node)
        if source is not None:
            docstring = ast.get_docstring(node, clean=False) or ""
            found.append(WrittenClaim(node.name, docstring, source))
    return found


def _source(node: ast.stmt) -> str | None:
    for decorator in getattr(node, "decorator_list", []):
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "claim":
            given = {keyword.arg: keyword.value for keyword in decorator.keywords}
            return ast.literal_eval(given["source"])
    return None
