"""Another machine's record beside ours: what a run of the gate there would have said.

Evidence holds the losses of every arm, so those of one folder can be judged by the envelopes of
another, and nothing has to run again.
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

Entry = Mapping[str, Any]


def judged(there: Path, here: Path) -> Run:
    """The curves recorded ``there``, by the envelopes recorded ``here``: folders of evidence.

    Raises:
        BaselineError: a file of evidence that cannot be used.
        ValueError: the folders have no arm in common.
    """
    known, mine = _references(there), _references(here)
    arms: dict[str, dict[str, float | None]] = {}
    for claim, arm in sorted(known.keys() & mine.keys()):
        r = _distance(known[claim, arm][1], mine[claim, arm][1])
        arms.setdefault(claim, {})[arm] = r
    if not arms:
        raise ValueError(f"{there} and {here} have no arm in common: name two folders of evidence.")
    entry = next(known[key][0] for key in known.keys() & mine.keys())
    where = entry["environment"]
    return Run(
        "elsewhere", re.sub(r"\W+", "-", where["device"]), "", arms=arms, commit=entry["commit"],
        torch=where["torch"], machine=where["device"], date=entry["date"],
    )  # fmt: skip


def _references(folder: Path) -> dict[tuple[str, str], tuple[Entry, Entry]]:
    """By claim and arm, the entry of the CPU and in it the arm's reference."""
    return {
        (evidence["claim"], arm): (entry, recorded["reference"])
        for evidence in map(read_evidence, sorted(folder.glob("*.json")))
        for entry in evidence["environments"] if entry["environment"]["device type"] == "cpu"
        for arm, recorded in entry["arms"].items()
    }  # fmt: skip


def _distance(theirs: Entry, ours: Entry) -> float | None:
    """The envelopes between two records of an arm; None where they are of other runs."""
    if any(theirs[what] != ours[what] for what in ("seeds", "steps")):
        return None
    losses = torch.tensor(theirs["losses"], dtype=torch.float64)
    ratio, why_not = compare.envelopes(losses, dict(ours))
    return None if why_not or not len(ratio) else min(float(ratio.max()), BEYOND)
