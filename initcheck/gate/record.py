"""What ``--initcheck-record`` writes for a claim: values, curves, envelopes, where and why."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from initcheck.arms import Arm
from initcheck.baselines.evidence import BaselineError
from initcheck.devices.compute import machine
from initcheck.gate import reference, seeds
from initcheck.gate.comparison import SIDES, Pair
from initcheck.gate.trainer import Laboratory
from initcheck.gate.verdict import Verdict
from initcheck.stats import decisions


def record(verdict: Verdict, reason: str, accept: str | None = None) -> Path:
    """Store the evidence of a claim's comparisons on its device.

    Args:
        verdict: the claim, judged.
        reason: why it is recorded.
        accept: why outcomes may be far from those first recorded, or None.

    Raises:
        BaselineError: a value that is not finite, arms too close for the limit between them, or
            outcomes far from those first recorded.
    """
    entry: dict[str, Any] = {
        "environment": machine(verdict.device), "reason": reason,
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(), "commit": _commit(),
        "data": {arm.data: verdict.laboratory.data(arm.data).fingerprint for arm in _arms(verdict)},
        "comparisons": {pair.key: _comparison(verdict, pair) for pair in verdict.pairs},
        "arms": {str(arm): _arm(verdict, arm) for arm in _arms(verdict)},
    }  # fmt: skip
    origin = {key: _origin(found, entry["date"]) for key, found in entry["comparisons"].items()}
    return verdict.baselines.store(verdict.claim_id, entry | {"origin": origin}, accept)


def _arms(verdict: Verdict) -> list[Arm]:
    return list(dict.fromkeys(arm for pair in verdict.pairs for arm in pair.arms.values()))


def _seeds(verdict: Verdict) -> tuple[int, ...]:
    """Outcomes that vary are recorded on 64 seeds, exact ones on those of the envelope."""
    if verdict.kind == "measured":
        return seeds.stage(seeds.RECORDING, decisions.ENOUGH_RECORDED)
    return seeds.reference()


def _comparison(verdict: Verdict, pair: Pair) -> dict[str, Any]:
    drawn = _seeds(verdict)
    found = {
        side: verdict.laboratory.values(pair.probe, arm, drawn, verdict.device)
        for side, arm in pair.arms.items()
    }
    if not np.isfinite([found[side] for side in SIDES]).all():
        raise BaselineError(
            f"{pair.key} has values that are not finite, and nothing was recorded. Mend the arm."
        )
    if verdict.kind == "measured" and pair.form in DEMANDS:
        DEMANDS[pair.form](verdict, pair, found)
    return found | {
        "form": pair.form, "hash": pair.fingerprint(), "treated_arm": str(pair.treated),
        "control_arm": str(pair.control),
    }  # fmt: skip


def _demand_room(verdict: Verdict, pair: Pair, found: dict[str, list[float]]) -> None:
    """No limit of kind measured between arms that lie close: one seed in many would cross it."""
    limit = verdict.baselines.limit(verdict.claim, pair.name)
    room = decisions.room(found["treated"], found["control"])
    if limit is not None and limit.kind == "measured" and room < decisions.ROOM:
        raise BaselineError(
            f"{pair.key} leaves {room:.2g} times the range within an arm between the two, where a "
            f"limit needs {decisions.ROOM:g}, so nothing was recorded. Use verdict.gains, "
            "which pairs the seeds, or set the arms further apart."
        )


def _demand_gain(verdict: Verdict, pair: Pair, found: dict[str, list[float]]) -> None:
    """No margin that sixteen seeds often fail to show, though it is there."""
    limit = verdict.baselines.limit(verdict.claim, pair.name)
    if limit is None or limit.margin is None:
        return
    d = np.subtract(found["treated"], found["control"]) - limit.margin
    now = decisions.SEEDS["measured"]
    missed = decisions.gain_missed(d, now) ** 2
    if missed > decisions.GAIN_MISSED:
        raise BaselineError(
            f"{pair.key} lies beyond its margin of {limit.margin:g} on {int((d > 0).sum())} of "
            f"{len(d)} seeds, so with nothing changed {missed:.2%} of runs on {now} seeds "
            f"would not show it. At most {decisions.GAIN_MISSED:.1%} may, so nothing was recorded. "
            "Choose a margin that more of the seeds exceed, or set the arms further apart."
        )


# What a recorded comparison of kind measured must show beside its values, by its form.
DEMANDS = {"holds": _demand_room, "gains": _demand_gain}


def _arm(verdict: Verdict, arm: Arm) -> dict[str, Any]:
    """The rounding envelope of an arm, from twins on the device whose evidence this is."""
    return {
        "seeds": list(_seeds(verdict)),
        "reference": _reference(verdict.laboratory, arm, verdict.device),
    }


def _reference(laboratory: Laboratory, arm: Arm, device: str) -> dict[str, Any]:
    known = laboratory.references
    if (arm, device) not in known:
        trained = laboratory.trained(arm, seeds.reference(), device)
        twins = laboratory.twins(arm, seeds.reference(), device)
        known[arm, device] = reference.record(arm, trained, twins)
    return known[arm, device]


def _origin(comparison: dict[str, Any], date: str) -> dict[str, Any]:
    def two(side: str) -> dict[str, float]:
        values: Sequence[float] = comparison[side]
        return {f"{side}_mean": float(np.mean(values)), f"{side}_std": float(np.std(values))}

    return two("treated") | two("control") | {"date": date}


def _commit() -> str:
    """The commit that was measured, with a plus where the tree had changes; empty outside git."""
    try:
        said = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+"],  # noqa: S607 -- the user's
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return said.stdout.strip()
