"""The picture of symmetry: hidden units that start equal stay equal, and do not learn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pandas as pd

from initcheck.arms import Adam, Arm
from initcheck.gate.pictured import Drawing, Source, spread
from initcheck.gate.pictured_training import CURVE_RECIPE, CURVE_STEPS, POOLED
from initcheck.initializers import every, normal_, ones, torch_default, zeros, zeros_
from initcheck.probes import test_accuracy, unit_spread
from initcheck.report.formatting import number
from initcheck.training.train import Trained

# Adam, since the claims on all-one networks train with it: SGD would stop at a dead ReLU.
RECIPE = replace(CURVE_RECIPE, optimizer=Adam(lr=1e-2))
NOISE = 0.01  # of this size, noise leaves zero within the steps that are drawn
STARTS = {
    "all zero": zeros,
    "all one": ones,
    f"zero with noise of {NOISE}": every(normal_(NOISE), zeros_, f"N(0, {NOISE}^2)"),
    "random (torch's default)": torch_default,
}
APART, LEARNT = "difference of units", "test accuracy"


def equal_units(source: Source) -> pd.DataFrame:
    """How far hidden units are apart, and accuracy, over steps, from equal and unequal units.

    Returns:
        The columns ``start``, ``step``, ``measure`` (``difference of units``: the largest
        difference between two units of a hidden layer, in units of a weight; or ``test accuracy``
        as a share), ``mean``, ``lowest`` and ``highest`` over four seeds.
    """
    arms = [Arm(POOLED, start, RECIPE, name=name) for name, start in STARTS.items()]
    return pd.DataFrame([row for trained in source.together(arms) for row in _rows(trained)])


def _rows(trained: Trained) -> Iterator[dict[str, Any]]:
    device = next(iter(trained.parameters.values())).device
    start = {name: values.to(device) for name, values in trained.start.items()}
    for step in (0, *CURVE_STEPS):
        then = replace(trained, parameters=trained.kept[step] if step else start)
        name = {"start": trained.arm.label, "step": step}
        yield name | {"measure": APART} | spread(unit_spread(then))
        yield name | {"measure": LEARNT} | spread(test_accuracy(then))


def _text(frame: pd.DataFrame) -> str:
    last = frame[frame["step"] == frame["step"].max()].pivot_table(
        index="start", columns="measure", values="mean", sort=False, dropna=False
    )
    ends = [
        f"{start} {number(row[APART])} and {number(row[LEARNT])}" for start, row in last.iterrows()
    ]
    return (
        f"Largest difference of two units, and test accuracy, after {frame['step'].max()} steps: "
        f"{', '.join(ends)}; guessing is 0.1."
    )


DRAWINGS = (
    Drawing(
        "equal_units", "Why not start at zero: units that start equal stay equal",
        ("symmetry", "constant start"),
        equal_units, _text,
        "Equal units compute equal numbers and get equal gradients, so a whole layer is worth "
        "one unit; noise makes them differ.",
        {"step": "steps"},
    ),
)  # fmt: skip
