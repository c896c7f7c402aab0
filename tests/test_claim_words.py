"""A claim's docstring is one short summary line and, after a blank line, why it is so.

The recipe is not repeated: it is generated from the arms, and a copy in words would go stale.
"""

from __future__ import annotations

import re

import pytest

from tests.helpers.written_claims import written_claims

LONGEST = 90  # characters of a summary
RECIPE = {
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
def test_a_claim_leaves_its_recipe_to_its_arms(name):
    words = " ".join(CLAIMS[name].split())
    repeated = {what: m[0] for what, how in RECIPE.items() if (m := re.search(how, words))}
    assert repeated == {}


@pytest.mark.parametrize(
    ("words", "what"),
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
def test_a_recipe_in_words_is_noticed(words, what):
    assert re.search(RECIPE[what], words)
