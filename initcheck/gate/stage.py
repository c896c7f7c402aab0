"""One look at a comparison: its values, whether the claim holds, and whether it has drifted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

from initcheck import results
from initcheck.baselines.limits import LimitEntry
from initcheck.gate import drift
from initcheck.gate.comparison import Pair
from initcheck.gate.drift import Drift
from initcheck.gate.holds import Finding, Values
from initcheck.results import Comparison

# Why a comparison without current evidence is not green in a run that requires it.
REQUIRED = {
    "no evidence": "there is no evidence, and this run requires it",
    "stale": "this run requires evidence that is not stale",
    "other start": "nothing of it can be compared with its evidence, and this run requires that",
}


@dataclass(frozen=True)
class Stage:
    """One look at a comparison: the values, whether the claim holds, and each arm's drift.

    Attributes:
        number: 1 for the first seeds, 2 for fresh ones.
    """

    number: int
    values: Values
    finding: Finding
    drifts: dict[str, Drift]

    @property
    def open(self) -> bool:
        """Whether fresh seeds can change the result.

        They cannot after a value that is not finite, and the envelope has seeds that never change.
        """
        if self.finding.final:
            return False
        moved = any(arm.get("moved") for arm in self.drifts.values())
        return moved or self.finding.verdict != "pass"

    def confirmed(self, fresh: Stage) -> Stage:
        """Both stages as one: red takes two failures, or one value that is not finite."""
        finding = fresh.finding
        if not finding.final:
            milder = results.confirmed(self.finding.verdict, finding.verdict)
            reason = next((f.reason for f in (finding, self.finding) if f.verdict == milder), "")
            finding = replace(finding, verdict=milder, reason=reason)
        drifts = {
            side: drift.confirmed(first, fresh.drifts[side]) for side, first in self.drifts.items()
        }
        return Stage(fresh.number, fresh.values, finding, drifts)

    def entry(self, *, required: bool) -> dict[str, Any]:
        """What the results file says of the comparison; ``required``: without evidence, invalid."""
        drifts = {side: drift.named(arm, side) for side, arm in self.drifts.items()}
        verdicts = [drift.verdict(arm, required=required) for arm in drifts.values()]
        # dict.fromkeys: "stale" is true of all arms, and is given once
        reasons = [self.finding.reason, *dict.fromkeys(d.get("reason") for d in drifts.values())]
        if required and self.finding.verdict == "pass":
            lacking = [
                d["verdict"] for d in drifts.values()
                if drift.verdict(d, required=True) == "invalid"
            ]  # fmt: skip
            reasons += dict.fromkeys(map(REQUIRED.get, lacking))
        return {
            "treated": self.values.treated, "control": self.values.control,
            "seeds": list(self.values.seeds), "stage": self.number,
            "margin": self.finding.margin, "margin_unit": self.finding.margin_unit,
            "p_value": self.finding.p_value,
            "verdict": results.worst([self.finding.verdict, *verdicts]),
            "reason": "; ".join(filter(None, reasons)),
            "drift": {side: drift.shown(arm) for side, arm in drifts.items()},
        }  # fmt: skip


def blank(pair: Pair, limit: LimitEntry | None, kind: str) -> Comparison:
    """A comparison before it is judged, which is invalid until it is shown to be something else."""
    return Comparison(
        probe=pair.name, case=pair.case, form=cast(results.Form, pair.form),
        kind=cast(results.Kind, limit.kind if limit else kind),
        unit=limit.unit if limit else "", why=limit.why if limit else "",
        fault=limit.fault if limit else "", limit=limit.shown(pair.form) if limit else {},
        treated_name=pair.treated.label, control_name=pair.control.label,
        reference_name=pair.reference.label if pair.reference else "",
    )  # fmt: skip
