"""Judges another machine's evidence by the rounding envelopes recorded here.

Evidence holds losses and sketches of every arm, so two machines are compared without a run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from initcheck.baselines.evidence import read_evidence
from initcheck.envelope import compare
from initcheck.envelope.fingerprints import BEYOND
from initcheck.error_rates.runs import Run
from initcheck.gate import sketched

Entry = Mapping[str, Any]


def judge(there: Path, here: Path) -> Run:
    """A run with r of every arm in both folders: losses of ``there``, envelopes of ``here``.

    Raises:
        BaselineError: a file of evidence cannot be used.
        ValueError: the folders have no arm in common.
    """
    theirs, ours = _references(there), _references(here)
    arms: dict[str, dict[str, float | None]] = {}
    for claim, arm in sorted(theirs.keys() & ours.keys()):
        r = _distance(theirs[claim, arm][1], ours[claim, arm][1])
        arms.setdefault(claim, {})[arm] = r
    if not arms:
        raise ValueError(
            f"{there} and {here} have no arm in common. Give two folders of evidence, such as "
            "baselines/evidence."
        )
    entry = next(theirs[key][0] for key in theirs.keys() & ours.keys())
    environment = entry["environment"]
    return Run(
        "elsewhere", re.sub(r"\W+", "-", environment["device"]), "", arms=arms,
        commit=entry["commit"], torch=environment["torch"], machine=environment["device"],
        date=entry["date"],
    )  # fmt: skip


def _references(folder: Path) -> dict[tuple[str, str], tuple[Entry, Entry]]:
    """For each claim and arm, the entry recorded on a CPU and the arm's reference in it."""
    return {
        (evidence["claim"], arm): (entry, recorded["reference"])
        for evidence in map(read_evidence, sorted(folder.glob("*.json")))
        for entry in evidence["environments"] if entry["environment"]["device type"] == "cpu"
        for arm, recorded in entry["arms"].items()
    }  # fmt: skip


def _distance(theirs: Entry, ours: Entry) -> float | None:
    """Distance of two records of an arm in envelopes; None if seeds or steps differ."""
    if any(theirs[key] != ours[key] for key in ("seeds", "steps")):
        return None
    losses = torch.tensor(theirs["losses"], dtype=torch.float64)
    ratio, not_judged = compare.envelopes(losses, dict(ours))
    judged = None if not_judged or not len(ratio) else ratio
    departure = sketched.departure(judged, sketched.between(theirs, ours), ours, not_judged)
    return None if departure.r is None else min(departure.r, BEYOND)
