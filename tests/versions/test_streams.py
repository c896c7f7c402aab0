"""Random streams: repeatable draws, and how one differs from another."""

from __future__ import annotations

import pytest
import torch

from tests.versions.streams import change, draws, streams, summary

DRAWS = draws()


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_repeats_and_leaves_global_randomness_alone(name):
    before = torch.get_rng_state()
    one, two = DRAWS[name](), DRAWS[name]()
    assert torch.equal(one, two)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_draw_is_there():
    found = streams()
    assert [*found] == [*DRAWS]
    assert not [name for name, each in found.items() if "error" in each]


def test_a_draw_that_cannot_be_made_is_an_error(monkeypatch):
    def missing():
        raise AttributeError("no such function")

    monkeypatch.setattr("tests.versions.streams.draws", lambda: {"new_": missing})
    assert streams() == {"new_": {"error": "AttributeError: no such function"}}


NUMBERS = torch.linspace(-1, 1, 20)
SAME = summary(NUMBERS)


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (SAME, ""),
        (summary(NUMBERS * (1 + 1e-6)), "rounding"),
        (summary(NUMBERS.flip(0)), "another draw"),
        (summary(NUMBERS[:3]), "another draw"),
        ({"error": "TypeError"}, "not there"),
    ],
)
def test_how_a_draw_differs(new, expected):
    assert change(SAME, new) == expected
    assert change(new, SAME) == expected


def test_what_neither_release_has_is_no_difference():
    assert change({"error": "one"}, {"error": "another"}) == ""
