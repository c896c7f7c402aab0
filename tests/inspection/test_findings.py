"""Names that differ in their numbers alone are shown together."""

from __future__ import annotations

import itertools
import re

import pytest

from initcheck.inspection.findings import grouped

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
