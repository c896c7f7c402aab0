"""docs/sources.md explains every id that a claim names, and no others."""

from __future__ import annotations

import re

import pytest

from tests.helpers.written_claims import ROOT, written_claims

PAGE = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
ID = r"\b(?:a[0-4]|[bc])-[a-z][a-z0-9-]*[a-z0-9](?![\w/-])"

ANCHORS = re.findall(r'<a id="([^"]+)"></a>', PAGE)
CLAIMS = written_claims()
NAMED = sorted({name for claim in CLAIMS for name in re.findall(ID, claim.source)})


def test_there_are_claims_and_they_name_ids():
    assert len(CLAIMS) > 50
    assert len(NAMED) > 50


@pytest.mark.parametrize("name", NAMED)
def test_it_explains_every_id_that_a_claim_names(name):
    rows = [line for line in PAGE.splitlines() if f'<a id="{name}"></a>`{name}` |' in line]
    assert len(rows) == 1, f"docs/sources.md: add one row with an anchor for {name}"
    _, statement, origin = (cell.strip() for cell in rows[0].strip("|").split("|"))
    assert statement.endswith(".")
    assert origin


def test_it_explains_no_id_that_no_claim_names():
    explained = {anchor for anchor in ANCHORS if re.fullmatch(ID, anchor)}
    assert explained - set(NAMED) == set()
    assert set(re.findall(ID, PAGE)) - set(NAMED) == set()


def test_its_anchors_are_unique_and_its_links_lead_to_one():
    assert len(ANCHORS) == len(set(ANCHORS))
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) - set(ANCHORS) == set()


def test_it_has_every_arxiv_number_that_a_claim_names():
    numbers = {
        n for claim in CLAIMS for n in re.findall(r"\d{4}\.\d{4,5}|math-ph/\d{7}", claim.source)
    }
    assert numbers
    assert [number for number in sorted(numbers) if number not in PAGE] == []


def test_an_id_has_a_claim_or_a_reason_why_not():
    page = (ROOT / "docs" / "refuted.md").read_text(encoding="utf-8")
    unclaimed = re.findall(r'<a id="([^"]+)"></a>', page)
    assert len(unclaimed) == len(set(unclaimed)) > 10
    assert set(unclaimed) & set(NAMED) == set()
    claims = {claim.name.removeprefix("test_") for claim in CLAIMS}
    named = set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", page))
    assert named - claims == set()
