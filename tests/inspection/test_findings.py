"""Names that differ in their numbers alone are shown together."""

from __future__ import annotations

import itertools
import re

import pytest

from initcheck.inspection import Finding
from initcheck.inspection.names import few, grouped
from initcheck.inspection.text import finding_lines

SWIN = [
    f"features.{stage}.{block}.mlp.{layer}.weight"
    for stage, blocks in ((1, 2), (3, 2), (5, 6), (7, 2))
    for block in range(blocks) for layer in (0, 3)
]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["head.weight"], ["head.weight"]),
        (["a.0.weight", "a.1.weight", "a.3.weight", "b"], ["a.0-1,3.weight", "b"]),
        (["a.0.b.0", "a.0.b.1", "a.1.b.0", "a.1.b.1"], ["a.0-1.b.0-1"]),
        (["a.0.b.0", "a.1.b.1"], ["a.0.b.0", "a.1.b.1"]),
        (["a.0.b.0", "a.0.b.1", "a.1.b.1"], ["a.0.b.0-1", "a.1.b.1"]),
        (SWIN, ["features.1,3,7.0-1.mlp.0,3.weight", "features.5.0-5.mlp.0,3.weight"]),
        (["conv1.weight", "conv2.weight"], ["conv1.weight", "conv2.weight"]),
    ],
)
def test_names_are_grouped_where_every_combination_is_meant(names, shown):
    assert grouped(names) == shown


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([], ""),
        (["head.weight"], "head.weight"),
        ([f"blocks.{n}.{'x' * 80}" for n in range(3)], f"blocks.0-2.{'x' * 80}"),
        (
            [f"{part}.{n}.{'x' * 30}" for part in "abcd" for n in (0, 1, 5)],
            f"a.0-1,5.{'x' * 30} and 9 more",
        ),
    ],
)
def test_names_that_do_not_fit_on_a_line_are_counted(names, shown):
    assert few(names) == shown


def test_a_finding_has_the_first_sentence_on_its_line_and_the_rest_below():
    finding = Finding(
        check="units", severity="warn", parameters=("a.0", "a.1"), owner="Linear",
        message="It is 0.5 long. Nothing moves it.", repair="Draw it.", line="m.py:1",
        lines=("m.py:1", "m.py:2"),
    )  # fmt: skip
    first = "warn  units  a.0-1 (Linear, written at m.py:1): It is 0.5 long."
    assert finding_lines([finding]) == [first]
    assert finding_lines([finding], detailed=True) == [
        first, "      Nothing moves it.", "      Draw it.", "      Written last at m.py:1, m.py:2.",
    ]  # fmt: skip


def spelled(name):
    """The names that a group stands for."""
    parts = re.split(r"(?<=\.)([\d,-]+)(?=\.|$)", name)
    choices = [
        [str(n) for run in part.split(",")
         for n in range(int(run.partition("-")[0]), int(run.rpartition("-")[2]) + 1)]
        if place % 2 else [part] for place, part in enumerate(parts)
    ]  # fmt: skip
    return ["".join(each) for each in itertools.product(*choices)]


@pytest.mark.parametrize("chosen", range(1, 2**9, 7))
def test_groups_stand_for_the_names_and_for_no_other(chosen):
    names = [f"a.{n // 3}.b.{n % 3}" for n in range(9) if chosen >> n & 1]
    assert sorted(name for group in grouped(names) for name in spelled(group)) == sorted(names)
