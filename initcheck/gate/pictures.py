"""Draws the pictures of a run: a table of numbers for each mechanism whose claims were judged."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pandas as pd

from initcheck.datasets import DataError
from initcheck.gate import (
    pictured_layers,
    pictured_rounding,
    pictured_symmetry,
    pictured_training,
)
from initcheck.gate.pictured import DIGITS, Drawing, NoPictureError, Source
from initcheck.initializers import InitializerError
from initcheck.networks import NetworkError
from initcheck.results import Picture

# From what a beginner asks first to what an expert asks.
ORDER = (
    "equal_units", "learning_curves", "residual_rank_over_steps", "weight_histograms",
    "waking_layers", "learning_rates", "signal_over_depth", "width_transfer", "attention_rank",
    "rounding_envelope",
)  # fmt: skip
_EVERY = (
    *pictured_symmetry.DRAWINGS, *pictured_training.DRAWINGS, *pictured_layers.DRAWINGS,
    *pictured_rounding.DRAWINGS,
)  # fmt: skip
DRAWINGS: dict[str, Drawing] = {
    each.name: each for each in sorted(_EVERY, key=lambda each: ORDER.index(each.name))
}
# What ends a claim with a sentence ends a picture with it, too.
SENTENCES = (NoPictureError, NetworkError, DataError, InitializerError)


def frame(name: str, source: Source | None = None) -> pd.DataFrame:
    """Train what one picture needs, and return its table; ``initcheck.report.pictures`` draws it.

    Args:
        name: one of ``DRAWINGS``, such as ``learning_curves``.
        source: trains; by default on the CPU and without recorded trajectories, which only
            ``rounding_envelope`` needs.

    Raises:
        ValueError: there is no picture of this name.
        NoPictureError: the picture needs what the source does not have.
    """
    if name not in DRAWINGS:
        raise ValueError(f"There is no picture {name!r}. The pictures are: {', '.join(DRAWINGS)}.")
    return DRAWINGS[name].frame(source or Source())


def pictures(source: Source, mechanisms: Collection[str] | None = None) -> list[Picture]:
    """Train what the pictures need, and measure it.

    Args:
        source: trains, on one device.
        mechanisms: draw only what belongs to these; None for all.

    Returns:
        One per picture. One that cannot be drawn has no rows, and its text says why.
    """
    return [
        _picture(drawing, source) for drawing in DRAWINGS.values()
        if mechanisms is None or not set(mechanisms).isdisjoint(drawing.mechanisms)
    ]  # fmt: skip


def _picture(drawing: Drawing, source: Source) -> Picture:
    empty = Picture(
        name=drawing.name, title=drawing.title, device=source.device,
        mechanisms=list(drawing.mechanisms),
    )  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pandas and torch, on runs that are all NaN
            table = drawing.frame(source)
            text = drawing.text(table)
    except SENTENCES as error:
        return replace(empty, text=f"Not drawn: {error}")
    return replace(
        empty, text=f"{drawing.reason} {text}", columns=list(table.columns),
        units=[drawing.units.get(name, "") for name in table.columns],
        rows=[[_cell(value) for value in row] for row in table.itertuples(index=False)],
    )  # fmt: skip


def _cell(value: Any) -> str | int | float:
    """A value of a frame as JSON has it, rounded to four significant digits."""
    plain = value.item() if hasattr(value, "item") else value
    return float(f"{plain:.{DIGITS}g}") if isinstance(plain, float) else plain
