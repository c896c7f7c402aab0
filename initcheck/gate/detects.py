"""In words: what was recorded for one arm, and how large a shift of it a run detects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from initcheck.gate.comparison import SIDES
from initcheck.stats import decisions, distributions


def outcome(probe: str, side: str, comparison: Mapping[str, Any]) -> str:
    """Mean and standard deviation of one arm."""
    values = np.asarray(comparison[side], dtype=float)
    arm = comparison[f"{side}_arm"].split(" | ")[1]
    spread = f" +- {values.std(ddof=1):.2g}" if len(values) > 1 and decisions.varies(values) else ""
    return f"{probe}, {side} {arm}: {values.mean():.4g}{spread} (N = {len(values)})"


def sensitivity(
    side: str, comparison: Mapping[str, Any], unit: str, now: int | None, registered: int
) -> str:
    """The shift of one arm's outcomes that ``now`` seeds detect, or as many as are usual."""
    values, other = (comparison[s] for s in (side, *(s for s in SIDES if s != side)))
    if not decisions.varies(values):
        return "equal on all seeds"
    if {*values, *other} <= {0.0, 1.0}:
        return "successes are counted"
    scale = distributions.scale(values, other, unit)
    if scale is None:
        return "too few seeds to compare outcomes"
    alpha1 = decisions.per_stage(decisions.split(registered))
    by_ranks = scale.name == distributions.RANKS
    detect = distributions.detectable_by_trial if by_ranks else distributions.detectable
    shift = detect(scale, now or decisions.SEEDS["measured"], alpha1)
    if shift is None:
        return "compared by ranks, which detect no shift of outcomes like these"
    size = shift / float(scale.values.std(ddof=1))
    unit_of_shift = "" if by_ranks or scale.name == "identity" else f" in {scale.name}"
    method = "by ranks, " if by_ranks else ""
    return (
        f"{method}a shift of {shift:.2g}{unit_of_shift} ({size:.1f} standard deviations) is "
        "detected in 95 % of runs"
    )
