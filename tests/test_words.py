"""The project's prose avoids words that readers from elsewhere stumble over."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
INSTEAD = {  # a pattern of whole words, and what to write
    r"errands?": "job",
    r"rehears\w*": "plan, declare",
    r"mend(?:s|ed|ing)?": "fix",
    r"anew": "again",
    r"dear(?:er|est)?": "expensive",
    r"whoever": "if you ...",
    r"h(?:ang|angs|ung) (?:up)?on": "depends on",
    r"of one'?s own": "custom",
    r"told of": "reported to",
    r"beside": "next to, compared with",
}
LEXICON = re.compile(rf"\b(?:{'|'.join(INSTEAD)})\b", flags=re.IGNORECASE)
NAMES = ("drawn anew",)  # of initializers, by which evidence is filed
THIS = Path(__file__).resolve()
CODE = [
    path
    for folder in ("initcheck", "benchmarks", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path != THIS
]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(source: str) -> Iterator[tuple[int, str]]:
    """The comments and strings of a module, docstrings included, each with its line."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def sentences(source: str) -> Iterator[tuple[int, str]]:
    """The prose without strings of a single word, which are names and keys."""
    return ((line, text) for line, text in prose(source) if len(text.split()) > 1)


def words_to_replace(text: str) -> list[str]:
    """The words of the lexicon in a text."""
    text = " ".join(text.split())
    for name in NAMES:
        text = text.replace(name, "")
    return [match[0] for match in LEXICON.finditer(text)]


@pytest.mark.parametrize("path", [*CODE, ROOT / "noxfile.py"], ids=relative)
def test_code_avoids_the_words_of_the_lexicon(path):
    lines = [
        f"line {line}: {word}"
        for line, text in sentences(path.read_text(encoding="utf-8"))
        for word in words_to_replace(text)
    ]
    assert lines == [], f"instead of these words write: {INSTEAD}"


@pytest.mark.parametrize("path", [*PAGES, *sorted((ROOT / "docs").rglob("*.md"))], ids=relative)
def test_pages_avoid_the_words_of_the_lexicon(path):
    text = path.read_text(encoding="utf-8")
    assert words_to_replace(text) == [], f"instead of these words write: {INSTEAD}"


# --- the functions above --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("An errand. Mend it, whoever you are.", ["errand", "Mend", "whoever"]),
        ("It hangs\n    on a module of one's own.", ["hangs on", "of one's own"]),
        ("Recommended, dearth, besides, it told me of nothing on its own.", []),
        ("control: drawn anew", []),
    ],
)
def test_whole_words_are_found(text, words):
    assert words_to_replace(text) == words


def test_comments_docstrings_and_messages_are_read():
    source = '"""A page."""\nx = 1  # why so\nraise ValueError(f"not {x} but this")\ny = "key"\n'
    assert sorted(sentences(source)) == [(1, "A page."), (2, "# why so"), (3, " but this")]
