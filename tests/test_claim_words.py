"""A claim's docstring is one short summary line and, after a blank line, its details.

It does not repeat the regime: that is generated from the arms, and a copy would become wrong.
"""

from __future__ import annotations

import re

import pytest

from tests.helpers.written_claims import written_claims

LONGEST = 90  # characters in a summary line
REGIME = {
    "a learning rate": r"\blr\b|learning rate (?:of )?[\d.]",
    "a momentum": r"momentum (?:of )?[\d.]",
    "a number of steps": r"\b\d+(?: full-batch)? steps?\b",
    "a batch size": r"\bbatch(?:es)?(?: of| size)? \d",
    "the widths of a network": r"\b\d+(?:-\d+x\d+)?-\d+(?:-\d+|x\d+)*\b",
    "a size of images": r"\b\d+ x \d+ (?:images|pixels)\b",
    "a number of images": r"\b[\d,]+ (?:training |test |unlabelled )?images\b",
    "a number of seeds": r"\b\d+ seeds\b",
}
CLAIMS = {claim.name: claim.docstring for claim in written_claims()}


@pytest.mark.parametrize("name", CLAIMS)
def test_a_claim_has_one_short_summary_line(name):
    summary, *details = CLAIMS[name].split("\n")
    assert 0 < len(summary) <= LONGEST
    assert summary == summary.strip()
    assert summary.endswith(".")
    assert not details or (details[0] == "" and details[1].strip())
    assert CLAIMS[name].strip().endswith(".")


@pytest.mark.parametrize("name", CLAIMS)
def test_a_docstring_does_not_repeat_the_regime(name):
    words = " ".join(CLAIMS[name].split())
    repeated = {
        part: match[0] for part, pattern in REGIME.items() if (match := re.search(pattern, words))
    }
    assert repeated == {}


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("Under SGD with lr .1, it learns.", "a learning rate"),
        ("It learns at a learning rate of 1e-3.", "a learning rate"),
        ("Under SGD with momentum .9, it learns.", "a momentum"),
        ("It learns in 150 steps.", "a number of steps"),
        ("It learns from batches of 16.", "a batch size"),
        ("A network 784-64-32-32-10 learns.", "the widths of a network"),
        ("A network 784-256x4-10 learns.", "the widths of a network"),
        ("It learns from 14 x 14 images.", "a size of images"),
        ("It learns from 1,000 unlabelled images.", "a number of images"),
        ("It learns on 64 seeds.", "a number of seeds"),
    ],
)
def test_a_regime_in_words_is_found(words, part):
    assert re.search(REGIME[part], words)
