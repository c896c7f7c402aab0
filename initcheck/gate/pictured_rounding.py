"""The picture of the rounding envelope: this run inside it, and a changed learning rate outside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import torch

from initcheck.arms import Adam, Arm, Recipe
from initcheck.baselines.evidence import BaselineError
from initcheck.devices.compute import machine
from initcheck.envelope.compare import FACTOR, curves, envelopes
from initcheck.gate import reference, sketched
from initcheck.gate.pictured import Drawing, NoPictureError, Source
from initcheck.gate.pictured_training import NOTEBOOK_001, WEIGHT_RECIPE
from initcheck.gate.seeds import reference as recorded_seeds
from initcheck.initializers import torch_default, zeros_
from initcheck.report.formatting import number

CLAIM = "zeroed_hidden_layer_still_learns"
WATCHED = Arm(
    NOTEBOOK_001, torch_default.but("hidden1.weight", zeros_), WEIGHT_RECIPE, name="hidden1 zero"
)
LOWERED = 0.999  # as the fault lr_lower_by_a_thousandth does
LEAST = 0.01  # envelopes; what is closer to the record is drawn here


def rounding_envelope(source: Source) -> pd.DataFrame:
    """The distance of three runs from the recorded trajectory, at each judged step.

    Returns:
        The columns ``run`` (``this run``, ``in float64`` or ``learning rate lower by 0.1 %``),
        ``step``, and ``r``: the distance in rounding envelopes, the larger of the losses' and the
        tensors', lower median over four seeds.

    Raises:
        NoPictureError: nothing is recorded for this arm, or it starts elsewhere now.
    """
    recorded = _recorded(source)
    lowered = Recipe(Adam(lr=1e-2 * LOWERED), WEIGHT_RECIPE.batch, WEIGHT_RECIPE.steps)
    arms = {
        "this run": WATCHED,
        "in float64": replace(WATCHED, recipe=replace(WEIGHT_RECIPE, dtype="float64")),
        "learning rate lower by 0.1 %": replace(WATCHED, recipe=lowered),
    }
    rows = []
    for name, arm in arms.items():
        for step, r in zip(recorded["steps"], _distances(source, arm, recorded), strict=True):
            rows.append({"run": name, "step": step, "r": r})
    return pd.DataFrame(rows)


def _recorded(source: Source) -> dict[str, Any]:
    """The record of the arm."""
    try:
        entry = source.baselines and source.baselines.recorded(CLAIM, machine(source.device))
    except BaselineError as error:
        raise NoPictureError(str(error)) from None
    arm = (entry or {}).get("arms", {}).get(str(WATCHED))
    if arm is None:
        raise NoPictureError(
            f"There is no evidence of the claim {CLAIM}, with which this picture compares. "
            f'Record it: pytest benchmarks -k {CLAIM} --initcheck-record "REASON".'
        )
    record: dict[str, Any] = arm["reference"]
    return record


def _distances(source: Source, arm: Arm, recorded: dict[str, Any]) -> list[float]:
    """The distance in envelopes at each recorded step."""
    trained = source.laboratory.trained(arm, recorded_seeds(), source.device)
    if arm == WATCHED and not reference.compare(arm, trained, recorded).start:
        raise NoPictureError(
            "This run starts from other values than the recorded one, so no step can be compared."
        )
    by_loss, why_not = envelopes(curves(trained.losses, recorded["steps"]), recorded)
    ways = sketched.outside(trained, recorded)
    largest = torch.zeros(len(recorded["steps"]), dtype=torch.float64)
    if not why_not:
        largest = largest.maximum(by_loss)
    if ways is not None:
        largest = largest.maximum(ways.r.amax(0))
    return [max(float(r), LEAST) for r in largest]


def _text(frame: pd.DataFrame) -> str:
    ends = [f"{run} {number(rows['r'].max())}" for run, rows in frame.groupby("run", sort=False)]
    distances = f"{', '.join(ends)}; {FACTOR:.0f} are allowed"
    return f"Largest distance from the record, in rounding envelopes: {distances}."


DRAWINGS = (
    Drawing(
        "rounding_envelope", "Is training unchanged: how far a run is from its record",
        ("zeroed layer", "weight scale", "first steps"),
        rounding_envelope, _text,
        "Rounding alone moves a run by about one envelope; a rate that is lower by a "
        "thousandth moves it by thousands.",
        {"r": "rounding envelopes"},
    ),
)  # fmt: skip
