"""Whether training is unchanged: one arm compared with its evidence, by envelope and outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from initcheck import results
from initcheck.arms import Arm
from initcheck.baselines.evidence import REPAIR, BaselineError
from initcheck.gate import reference
from initcheck.gate.comparison import SIDES, Pair
from initcheck.stats import distributions
from initcheck.training.train import Trained

Drift = dict[str, Any]

# Left out of the results file: what the verdict is derived from, and the reason.
INTERNAL = ("left", "start", "alike", "same_torch", "reason")

DRIFTED = ("left", "moved", "changed start", "alike")


def lacking(pair: Pair, entry: Mapping[str, Any] | None, data: Mapping[str, str]) -> Drift | None:
    """Why there is nothing to compare with, or None.

    Args:
        pair: the comparison.
        entry: the evidence of the claim for this device.
        data: current fingerprints by name of data set.

    Raises:
        BaselineError: the evidence is of this comparison, but names other arms.
    """
    comparison = (entry or {}).get("comparisons", {}).get(pair.key)
    if entry is None or comparison is None:
        return {"verdict": "no evidence"}
    if comparison["hash"] != pair.fingerprint():
        reason = "the evidence is stale: the claim, an arm or the probe has changed since"
        return {"verdict": "stale", "reason": reason}
    for side, arm in pair.arms.items():
        if comparison.get(f"{side}_arm", str(arm)) != str(arm) or str(arm) not in entry["arms"]:
            raise BaselineError(f"The evidence of {pair.key} lacks its {side} arm {arm}. {REPAIR}")
    other = [name for name, digest in data.items() if entry["data"].get(name) != digest]
    if other:
        reason = f"the evidence is stale: it was recorded on other data than this {other[0]}"
        return {"verdict": "stale", "reason": reason}
    return None


def not_judged(arm: Arm, entry: Mapping[str, Any]) -> Drift:
    """The drift of an arm whose rounding envelope is left out (``--initcheck-judge outcomes``)."""
    return {
        "environment": place(arm, entry), "r": None, "first_step": None, "left": False,
        "loss_r": None, "tensor": None, "tensor_r": None, "first_layer": None, "start": True,
        "alike": False, "same_torch": True,
        "note": "the rounding envelope was not judged",
    }  # fmt: skip


def envelope(arm: Arm, trained: Trained, entry: Mapping[str, Any]) -> Drift:
    """How far an arm is from its record in rounding envelopes, on the seeds of the record."""
    departure = reference.compare(arm, trained, entry["arms"][str(arm)]["reference"])
    recorded_by = entry["environment"]["torch"]
    return {
        "environment": place(arm, entry),
        "r": departure.r, "first_step": departure.first_step, "left": departure.left,
        "loss_r": departure.loss_r, "tensor": departure.tensor, "tensor_r": departure.tensor_r,
        "first_layer": departure.first_layer, "start": departure.start, "alike": departure.alike,
        "same_torch": _release(recorded_by) == _release(torch.__version__),
        "note": departure.why_not,
    }  # fmt: skip


def place(arm: Arm, entry: Mapping[str, Any]) -> str:
    """On what, with which torch and when an arm was recorded."""
    env = entry["environment"]
    return f"{env['device type']} {arm.recipe.dtype}, torch {env['torch']}, {entry['date']}"


def _release(version: str) -> str:
    """The version without the build label: a release determines the random streams."""
    return version.partition("+")[0]


def outcomes(
    side: str, now: Sequence[float], comparison: Mapping[str, Any], *, unit: str, alpha1: float
) -> Drift:
    """Compare one arm's outcomes with the recorded ones; empty if too few seeds are recorded."""
    if not np.isfinite(now).all():
        return {}
    other = comparison[next(s for s in SIDES if s != side)]
    compared = distributions.compare(comparison[side], now, other=other, unit=unit, alpha1=alpha1)
    if compared is None:
        return {}
    transform, shift = compared
    return {
        "moved": shift.moved, "transform": transform, "mean": shift.mean,
        "recorded_mean": shift.recorded_mean, "recorded_std": shift.recorded_std,
        "recorded_n": len(comparison[side]), "allowed": shift.allowed,
        "detectable_shift": shift.detectable,
    }  # fmt: skip


def named(drift: Drift, side: str) -> Drift:
    """The drift with its name, the most severe that applies, and the reason."""
    if "verdict" in drift:
        return drift
    elsewhere = not drift.get("start", True)
    names = {
        "left": drift.get("left"),
        "alike": drift.get("alike"),
        "changed start": elsewhere and drift.get("same_torch"),
        "moved": drift.get("moved"),
        "other start": elsewhere,
    }
    name = next((name for name, true in names.items() if true), "unchanged")
    drift = drift | {"verdict": name}
    return drift | {"reason": shown(drift).reason(f"the {side} arm")}


def confirmed(first: Drift, fresh: Drift) -> Drift:
    """Both stages of one arm: the envelope counts once, outcomes moved only if they did twice."""
    if "moved" not in fresh:
        return first | {"moved": False} if "moved" in first else first
    return first | fresh | {"moved": bool(first.get("moved")) and fresh["moved"]}


def shown(drift: Drift) -> results.Drift:
    """What the results file keeps."""
    return results.Drift(**{key: value for key, value in drift.items() if key not in INTERNAL})


def verdict(drift: Drift, *, required: bool) -> results.Verdict:
    """The verdict that one arm's drift gives its comparison; ``required``: evidence must exist."""
    if drift["verdict"] in DRIFTED:
        return "drifted"
    missing = drift["verdict"] in ("no evidence", "stale") or nothing_judged(drift)
    return "invalid" if missing and required else "pass"


def nothing_judged(drift: Drift) -> bool:
    """Whether there is evidence that could not be compared: another start, and no outcomes."""
    return drift["verdict"] == "other start" and drift.get("moved") is None
