"""The README says what is there: its commands, its claims and its options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from initcheck import listing
from initcheck.settings import OPTIONS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_first_code_block_is_the_two_commands():
    blocks = re.findall(r"(?:^    [^\n]+\n)+|^```.*?^```\n", README, flags=re.MULTILINE | re.DOTALL)
    assert blocks[0].split("\n") == ["    python3 -m benchmarks", "    python3 -m tests", ""]


def test_its_claims_are_those_of_the_code(monkeypatch):
    monkeypatch.chdir(ROOT)
    table = listing.as_markdown(listing.collect())
    assert table in README, "paste what `initcheck claims --markdown` prints into README.md"


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_it_explains_every_option(option):
    assert f"| `--initcheck-{option.name}" in README


def test_it_explains_no_option_that_is_gone():
    explained = set(re.findall(r"^\| `--initcheck-([a-z-]+)", README, flags=re.MULTILINE))
    assert explained == {option.name for option in OPTIONS}
