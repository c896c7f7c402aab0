"""What red claims name more often than green ones is said, and chance is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from initcheck.report import shared
from tests.helpers.results import passing, refuted


def red(statement):
    return replace(refuted(), statement=statement)


def green(statement):
    return replace(passing(), statement=statement)


def test_the_optimizer_of_the_red_claims_is_named():
    found = [red("Under Adam, a start learns.")] * 8 + [green("Under Adam, it stays.")] * 2
    others = [green("Under SGD, a start learns.")] * 19 + [red("Under SGD, it stays.")]
    assert shared.named([*found, *others]) == (
        "Of 10 claims whose sentence names Adam, 8 are not green; of the 20 others, 1."
    )


def test_longer_names_are_other_names():
    found = [red("AdamW shrinks it.")] * 8 + [green("Adam does not.")] * 8
    assert "names AdamW, 8 are" in shared.named(found)
    assert "Adam," not in shared.named(found)


def test_plurals_and_capitals_count():
    found = [red("Biases learn."), red("A bias learns.")] * 3 + [red("Two biases.")]
    assert "names a bias, 7 are not green; of the 9 others, none." in shared.named(
        found + [green("Weights.")] * 9
    )


@pytest.mark.parametrize(
    ("many", "few"),
    [(3, 9), (9, 2), (0, 9), (9, 0)],
    ids=["three red", "two green", "no red", "all red"],
)
def test_what_chance_explains_is_not_named(many, few):
    assert not shared.named([red("Under Adam.")] * many + [green("Under SGD.")] * few)


def test_what_red_and_green_claims_name_alike_is_not_named():
    statement = "Under Adam, a start learns."
    assert not shared.named([red(statement)] * 10 + [green(statement)] * 10)
    half = [red(statement), green(statement), red("A sum."), green("A sum.")] * 5
    assert not shared.named(half)


def test_the_chance_is_that_of_drawing_the_red_claims_at_random():
    """All 3 of 3 red claims are among the 4 that name it: 4 of the 20 ways to choose 3 of 6."""
    assert shared.Share("Adam", 3, 4, 0, 2).chance == pytest.approx(4 / 20)
