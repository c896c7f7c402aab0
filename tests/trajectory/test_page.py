"""The page of faults and innocent changes is written from its raw results, and they are good."""

from __future__ import annotations

import pytest
import torch

from initcheck.envelope.sketches import COUNT, sketch
from tests.trajectory.__main__ import PAGE, kept
from tests.trajectory.faults import FAULTS
from tests.trajectory.page import ALARMS, page, reason
from tests.trajectory.variants import PRODUCTS, VARIANTS, in_words

ROW = {
    "set": 0, "applies": True, "verdict": "changed", "why": "", "r": 20.0, "loss_r": 1.0,
    "step": 4, "tensor": "head.bias", "torch": "2", "machine": "m",
}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return list(kept().values())


def test_the_page_is_written_from_the_results(rows):
    assert PAGE.read_text(encoding="utf-8") == page(rows)


def test_every_fault_occurs_in_a_loop(rows):
    assert {row["change"] for row in rows if row["applies"]} >= FAULTS.keys()


def test_false_alarms_have_a_known_cause(rows):
    reported = [
        (row["change"], row["example"]) for row in rows
        if row["applies"] and row["change"] not in FAULTS and row["verdict"] != "unchanged"
    ]  # fmt: skip
    assert set(reported) == set(ALARMS)


def test_only_faults_with_a_known_reason_are_missed(rows):
    missed = [
        (row["change"], row["example"]) for row in rows
        if row["applies"] and row["change"] in FAULTS and row["verdict"] == "unchanged"
    ]  # fmt: skip
    assert [each for each in missed if not reason(*each)] == []


def test_a_missed_fault_and_a_false_alarm_are_counted():
    fault = ROW | {"change": "decay x .999", "example": "lora"}
    alarm = ROW | {"change": "fused", "example": "lora", "by": {}}
    text = page([fault, fault | {"example": "lstm", "verdict": "unchanged", "r": 2.0}])
    assert "Faults caught: 1 of 2 cells, at least 2.5%" in text
    assert "Not caught: decay x .999 in lstm, r 2" in text
    assert "| **2** |" in text
    assert "| - |" not in text
    with pytest.raises(KeyError):
        page([alarm])  # without the settings that it must have


def test_single_seeds_are_counted():
    def seed(r, *, nearest=None, coarse=False):
        return {"seed": 0, "r": r, "allowed": 10.0, "nearest": nearest, "coarse": coarse}

    innocent = ROW | {"change": "fused", "example": "lora", "verdict": "unchanged", "r": 2.0}
    innocent |= {"by": {in_words(*each): 2.0 for each in VARIANTS}}
    fault = ROW | {"change": "decay x .999", "example": "lora"}
    rows = [
        innocent | {"by_seed": [seed(0.1), seed(70.0, nearest=0.5)]},
        innocent | {"by_seed": [seed(0.1), seed(None, coarse=True)], "example": "amp"},
        innocent | {"by_seed": [seed(0.1), seed(0.2)], "example": "lstm"},
        fault | {"by_seed": [seed(0.1), seed(70.0, nearest=69.0)]},
        fault | {"by_seed": [seed(None), seed(90.0, coarse=True)], "example": "lstm"},
    ]
    text = page(rows)
    assert (
        "of innocent changes: in 1 of 3 cells the typical seed was inside and another one outside. "
        "Twins explained it in 1; in 0 the seed has changed. In 1 more cells" in text
    )
    assert "of faults: in 1 of 2 cells" in text
    assert "Twins explained it in 0; in 1 the seed has changed. In 0 more" in text
    assert "alone, 2 of 3 such seeds would be outside of 10 envelopes" in text
    without = page([{k: v for k, v in row.items() if k != "by_seed"} for row in rows])
    assert "ingle seeds" not in without  # results of older releases


def test_the_first_products_are_those_of_a_shorter_sketch():
    for entries in (10, 5000):
        tensor = torch.randn(1, entries, generator=torch.Generator().manual_seed(0))
        many = sketch("name", tensor, count=PRODUCTS)
        assert torch.equal(many[:, :COUNT], sketch("name", tensor)[:, :COUNT])
