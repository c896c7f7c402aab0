"""Records a claim's evidence: values, loss curves, rounding envelopes, machine and reason."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from initcheck.arms import Arm
from initcheck.baselines.evidence import BaselineError
from initcheck.devices.compute import machine
from initcheck.gate import reference, repeatable, seeds
from initcheck.gate.comparison import SIDES, Pair
from initcheck.gate.trainer import Laboratory
from initcheck.gate.verdict import Verdict
from initcheck.stats import decisions


def record(
    verdict: Verdict, reason: str, accept: str | None = None,
    starts: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """Store the evidence of a claim's comparisons on its device, and return the file.

    Args:
        verdict: the judged claim.
        reason: why the evidence is recorded.
        accept: why outcomes may be far from those first recorded, or None if they may not.
        starts: the starts that a second process built, by arm, or None if there was none.

    Raises:
        BaselineError: an arm's start is not a function of its seed, a value is not finite, the arms
            are too close for the limit between them, or outcomes are far from those first recorded.
    """
    for arm in _arms(verdict):
        repeatable.demand(arm, starts)
    entry: dict[str, Any] = {
        "environment": machine(verdict.device), "reason": reason,
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(), "commit": commit(),
        "data": {arm.data: verdict.laboratory.data(arm.data).fingerprint for arm in _arms(verdict)},
        "comparisons": {pair.key: _comparison(verdict, pair) for pair in verdict.pairs},
        "arms": {str(arm): _arm(verdict, arm) for arm in _arms(verdict)},
    }  # fmt: skip
    origin = {
        key: _origin(comparison, entry["date"]) for key, comparison in entry["comparisons"].items()
    }
    return verdict.baselines.store(verdict.claim_id, entry | {"origin": origin}, accept)


def _arms(verdict: Verdict) -> list[Arm]:
    return list(dict.fromkeys(arm for pair in verdict.pairs for arm in pair.arms.values()))


def _seeds(verdict: Verdict) -> tuple[int, ...]:
    """Measured outcomes are recorded on 64 seeds, exact ones on the envelope's four."""
    if verdict.kind == "measured":
        return seeds.stage(seeds.RECORDING, decisions.ENOUGH_RECORDED)
    return seeds.reference()


def _comparison(verdict: Verdict, pair: Pair) -> dict[str, Any]:
    drawn = _seeds(verdict)
    values = {
        side: pair.measured(side, drawn, verdict.device, verdict.laboratory) for side in SIDES
    }
    for side in SIDES:
        if not np.isfinite(values[side]).all():
            raise BaselineError(
                f"{pair.key} has NaN or infinite values on the {side} side. Lower the learning "
                "rate of that arm, or correct its start or the probe."
            )
    if verdict.kind == "measured" and pair.form in DEMANDS:
        DEMANDS[pair.form](verdict, pair, values)
    return values | {
        "form": pair.form, "hash": pair.fingerprint(), "treated_arm": str(pair.treated),
        "control_arm": str(pair.control),
    } | ({"reference_arm": str(pair.reference)} if pair.reference else {})  # fmt: skip


def _demand_room(verdict: Verdict, pair: Pair, values: dict[str, list[float]]) -> None:
    """No limit of kind measured between arms that lie close: one seed in many would cross it."""
    limit = verdict.baselines.limit(verdict.claim, pair.name)
    room = decisions.gap_in_ranges(values["treated"], values["control"])
    if limit is not None and limit.kind == "measured" and room < decisions.ROOM:
        raise BaselineError(
            f"{pair.key}: the gap between the arms is {room:.2g} times the range within one. "
            f"A limit needs {decisions.ROOM:g} times, so nothing was recorded. Use verdict.gains, "
            "which pairs the seeds, or choose arms that differ more."
        )


def _demand_gain(verdict: Verdict, pair: Pair, values: dict[str, list[float]]) -> None:
    """Refuse a margin that the claim's seeds often fail to show although the gain is real."""
    limit = verdict.baselines.limit(verdict.claim, pair.name)
    if limit is None or limit.margin is None:
        return
    d = np.subtract(values["treated"], values["control"]) - limit.margin
    now = verdict.usual_count
    missed = decisions.gain_missed(d, now) ** 2
    if missed > decisions.GAIN_MISSED:
        raise BaselineError(
            f"{pair.key} exceeds its margin of {limit.margin:g} on {int((d > 0).sum())} of "
            f"{len(d)} seeds, so with nothing changed {missed:.2%} of runs on {now} seeds "
            f"would miss it. At most {decisions.GAIN_MISSED:.1%} may, so nothing was recorded. "
            "Choose a margin that more seeds exceed, or arms that differ more."
        )


# What a recorded comparison of kind measured must show, by its form.
DEMANDS = {"holds": _demand_room, "gains": _demand_gain}


def _arm(verdict: Verdict, arm: Arm) -> dict[str, Any]:
    """The rounding envelope of an arm, from twin runs on the device that is recorded."""
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


def commit() -> str:
    """The commit of the current folder, with a plus if the tree had changes; empty outside git."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+"],  # noqa: S607 -- the user's
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return described.stdout.strip()
