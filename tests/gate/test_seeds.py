"""Seeds: no stage ever sees another's, and asking for more changes none."""

from __future__ import annotations

from itertools import combinations

import pytest

from initcheck.gate.seeds import FIRST, FRESH, RECORDING, REFERENCE, reference, stage

STAGES = (RECORDING, FIRST, FRESH)
SALTS = ("", "0", "a", "nightly 2026-11-22")
MANY = 128  # seeds: twice what is recorded


@pytest.mark.parametrize("salt", SALTS)
@pytest.mark.parametrize("number", STAGES)
def test_the_seeds_of_a_stage_are_different_ones(number, salt):
    assert len(set(stage(number, MANY, salt))) == MANY


def test_no_seed_is_in_two_stages_or_under_two_salts():
    drawn = {(number, salt): set(stage(number, MANY, salt)) for number in STAGES for salt in SALTS}
    shared = [(a, b) for a, b in combinations(drawn, 2) if drawn[a] & drawn[b]]
    assert shared == []


@pytest.mark.parametrize("count", [0, 1, 12])
def test_more_seeds_begin_with_the_same_ones(count):
    assert stage(FIRST, count, "a") == stage(FIRST, MANY, "a")[:count]


def test_seeds_are_what_they_were_when_evidence_was_recorded():
    assert stage(RECORDING, 2) == (2968811710, 3831201730)
    assert stage(FIRST, 2) == (3964924996, 901243215)


def test_the_reference_has_no_salt():
    assert reference() == stage(FIRST, MANY)[:REFERENCE]
    assert not set(reference()) & set(stage(FIRST, MANY, "a"))


def test_seeds_are_plain_numbers_that_json_can_hold():
    assert {type(seed) for seed in stage(FRESH, 3)} == {int}
