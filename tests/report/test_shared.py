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
    found = [red("AdamW shrinks it.")] * 4 + [green("Adam does not.")] * 8
    assert "names AdamW, 4 are" in shared.named(found)
    assert "Adam," not in shared.named(found)


def test_plurals_and_capitals_count():
    found = [red("Biases learn."), red("A bias learns."), red("Two biases.")]
    assert "names a bias, 3 are not green; of the 5 others, none." in shared.named(
        found + [green("Weights.")] * 5
    )


@pytest.mark.parametrize(
    ("many", "few"),
    [(2, 9), (9, 2), (0, 9), (9, 0)],
    ids=["two red", "two green", "no red", "all red"],
)
def test_too_few_claims_are_not_compared(many, few):
    assert not shared.named([red("Under Adam.")] * many + [green("Under SGD.")] * few)


def test_what_red_and_green_claims_name_alike_is_not_named():
    statement = "Under Adam, a start learns."
    assert not shared.named([red(statement)] * 10 + [green(statement)] * 10)
    half = [red(statement), green(statement), red("A sum."), green("A sum.")] * 5
    assert not shared.named(half)


def test_a_share_is_the_correlation_of_two_by_two():
    assert shared.Share("Adam", 8, 10, 1, 20).correlation == pytest.approx(
        (8 * 19 - 1 * 2) / (10 * 20 * 9 * 21) ** 0.5
    )
    assert shared.Share("Adam", 0, 0, 3, 9).correlation == 0
