"""The pages of mechanisms name claims, figures, pictures and faults that are there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from initcheck.baselines.folder import Baselines
from initcheck.faults import bound
from tests.helpers.mechanisms import ENTRY, PAGES, ROOT, entry, statements, written_again
from tests.test_docs import blocks, read, shell_lines

INDEX = ROOT / "docs" / "mechanisms" / "index.md"
CHEAP = ("attention-rank", "weight-histograms")  # a few seconds each

each_page = pytest.mark.parametrize(
    "page", [page for page in PAGES if page != INDEX], ids=lambda page: page.stem
)


def named(page: Path) -> set[str]:
    """The claims of a page."""
    return {found[1] for found in ENTRY.finditer(read(page))}


def failing(page: Path) -> list[str]:
    """The words of the command that shows a failure."""
    (block,) = (block for block in blocks(read(page)) if block.language == "sh")
    (command,) = shell_lines(block)
    return shlex.split(command)


@each_page
def test_every_entry_is_what_the_claim_says_and_what_was_recorded(page):
    """To write the entries again: ``python -m tests.helpers.mechanisms``."""
    text = read(page)
    assert named(page)
    assert len(ENTRY.findall(text)) == text.count("\n- "), "an entry has another form"
    assert text == written_again(text)


def test_an_entry_that_is_out_of_date_is_noticed():
    right = entry("he_beats_randn", "test_accuracy")
    wrong = right.replace("0.516", "0.517")
    assert wrong != right
    assert written_again(wrong) == right


@each_page
def test_the_reason_has_five_sentences(page):
    reason = read(page).partition("## The reason\n")[2].partition("\n## ")[0]
    assert re.findall(r"^(\d)\. ", reason, flags=re.MULTILINE) == [*"12345"]


@each_page
def test_pictures_are_there_and_have_words(page):
    text = read(page)
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text)
    assert len(pictures) == text.count("## The picture")
    for words, target in pictures:
        assert len(words) > 20
        assert (page.parent / target).is_file()


@each_page
def test_it_fails_by_a_fault_that_a_claim_of_the_page_must_notice(page):
    words = failing(page)
    assert words[:3] == ["python3", "-m", "benchmarks"]
    fault = words[words.index("--initcheck-fault") + 1]
    faults = bound(Baselines(ROOT / "baselines").limits)
    output = next(block.text for block in blocks(read(page)) if block.language == "text")
    caught = re.search(rf"^fault {fault} was caught by (\w+)\.$", output, flags=re.MULTILINE)
    assert caught
    assert caught[1] in faults[fault]
    assert caught[1] in named(page)
    assert caught[1] in statements()
    assert words[words.index("-k") + 1].split()[0] in caught[1]


@each_page
def test_its_limits_are_those_of_today(page):
    """In what a failing run printed: a limit that moved makes the page wrong."""
    output = next(block.text for block in blocks(read(page)) if block.language == "text")
    (claim,) = re.findall(r"was caught by (\w+)\.", output)
    limits = Baselines(ROOT / "baselines").limits[claim]
    for probe, shown in re.findall(
        r"^  (\w+) .*? (?:<=|>=|gain >) ([-\d.e]+) ", output, flags=re.MULTILINE
    ):
        limit = limits[probe]
        assert float(shown) in (limit.low, limit.high, limit.margin), probe


@pytest.mark.parametrize("name", CHEAP)
def test_a_cheap_failure_is_as_the_page_shows(name):
    page = INDEX.with_name(f"{name}.md")
    words = failing(page)
    # Of one file of claims: collecting all of them takes longer than the claim.
    file = {"attention-rank": "test_attention.py", "weight-histograms": "test_zeroed_layer.py"}
    command = [
        sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"benchmarks/{file[name]}",
        *words[3:],
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    output = next(block.text for block in blocks(read(page)) if block.language == "text")
    first, *lines = output.splitlines()
    printed = {without_r(line) for line in done.stdout.splitlines()}
    assert first.partition("  ")[0] in done.stdout  # its seconds differ
    assert [line for line in lines if without_r(line) not in printed] == []


def without_r(line: str) -> str:
    """A row of the table without r, which differs between processors as rounding does."""
    one = " ".join(line.split())
    return re.sub(r" (?:-|~?[\d.]+)/(?:-|~?[\d.]+) ", " r ", one)


def test_only_an_r_within_the_allowed_is_left_out_of_a_row():
    assert without_r("  rank  1..2  -3  -/0.2  refuted") == without_r("rank 1..2 -3 ~0/0 refuted")
    assert without_r("rank 1 -/>10 drifted") == "rank 1 -/>10 drifted"


def test_every_page_is_in_the_index():
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", read(INDEX)))
    assert listed == {page.name for page in PAGES if page != INDEX}
