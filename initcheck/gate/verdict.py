"""What a claim's test is given: it trains, measures, judges, and compares with the evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from initcheck import devices, results
from initcheck.arms import Arm
from initcheck.baselines.folder import Baselines
from initcheck.baselines.limits import LimitEntry
from initcheck.datasets.arrays import DataError
from initcheck.devices.compute import machine
from initcheck.gate import drift, seeds
from initcheck.gate import holds as judgement
from initcheck.gate.comparison import SIDES, Pair
from initcheck.gate.drift import Drift
from initcheck.gate.holds import Finding, Values
from initcheck.gate.trainer import Laboratory
from initcheck.initializers import InitializerError
from initcheck.networks import NetworkError
from initcheck.probes import Probe
from initcheck.stats import decisions

__all__ = ["Key", "Known", "Pair", "Setting", "Verdict"]

Key = tuple[str, str, str, str, str]  # claim with its parameters, device, comparison, side, arm


@dataclass(frozen=True)
class Setting:
    """How a session judges: what the options said.

    Attributes:
        count: seeds a stage, or None for the form's own.
        salt: draws other stage seeds.
        require_evidence: whether a comparison without evidence is invalid.
        recording: the reason given for recording, or None.
        scale: ``brief``, or ``full``, whose data are then demanded.
    """

    count: int | None = None
    salt: str = ""
    require_evidence: bool = False
    recording: str | None = None
    scale: str = "brief"

    @property
    def evidence_required(self) -> bool:
        """Not while it is being recorded: else nothing could ever be recorded first."""
        return self.require_evidence and self.recording is None


@dataclass(frozen=True)
class Known:
    """One side of a comparison on the first seeds: its values, and how it follows its record."""

    values: list[float]
    followed: Drift


@dataclass(frozen=True)
class Stage:
    """One look at a comparison: values, whether it holds, and how both arms beside their evidence.

    Attributes:
        number: 1 for the first seeds, 2 for the fresh ones.
    """

    number: int
    values: Values
    finding: Finding
    drifts: dict[str, Drift]

    @property
    def open(self) -> bool:
        """Whether fresh seeds have a say: the envelope needs none, and nothing mends a NaN."""
        if self.finding.final:
            return False
        moved = any(drift.get("moved") for drift in self.drifts.values())
        return moved or self.finding.verdict != "pass"

    def confirmed(self, fresh: Stage) -> Stage:
        """Both stages as one: red is only what is red twice, or not finite once."""
        finding = fresh.finding
        if not finding.final:
            milder = results.confirmed(self.finding.verdict, finding.verdict)
            words = next((f.reason for f in (finding, self.finding) if f.verdict == milder), "")
            finding = replace(finding, verdict=milder, reason=words)
        drifts = {side: drift.confirmed(self.drifts[side], fresh.drifts[side]) for side in SIDES}
        return Stage(fresh.number, fresh.values, finding, drifts)


@dataclass
class Verdict:
    """The ``verdict`` fixture: one for each claim and device.

    ``ahead`` is asked for what is known before anything is trained.
    """

    claim: str
    claim_id: str
    device: str
    kind: str
    laboratory: Laboratory
    baselines: Baselines
    setting: Setting = field(default_factory=Setting)
    ahead: Callable[[Key], Known | None] = lambda key: None
    probes: list[dict[str, Any]] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    spared: set[str] = field(default_factory=set)  # probes that are not for this type of device
    _departures: dict[Arm, Drift] = field(default_factory=dict)

    def holds(
        self, probe: Probe, *, treated: Arm, control: Arm, case: str = "", only: str = ""
    ) -> None:
        """Treated inside the limit, control outside, on every seed.

        Args:
            probe: what is measured, one value a seed.
            treated: the arm the claim is about.
            control: the arm that must fall on the other side of the same limit.
            case: tells apart several uses of one probe in one claim.
            only: the one type of device that it is said of, such as ``cpu``; of all where empty.
        """
        self._ask(Pair(probe, treated, control, case, "holds"), only)

    def gains(
        self, probe: Probe, *, better: Arm, worse: Arm, case: str = "", only: str = ""
    ) -> None:
        """Paired by seed, data and order, the better arm exceeds the worse by the margin."""
        self._ask(Pair(probe, better, worse, case, "gains"), only)

    def rate(
        self, probe: Probe, *, treated: Arm, control: Arm, case: str = "", only: str = ""
    ) -> None:
        """Enough treated seeds succeed, and too few of the control's.

        ``probe`` gives 1 for a seed that succeeds and else 0. The limit's ``min`` is the least
        share of seeds that succeed; where 64 or more seeds were recorded, their lower confidence
        bound sharpens it.
        """
        self._ask(Pair(probe, treated, control, case, "rate"), only)

    # --- what is trained for it -----------------------------------------------------------------

    def key(self, pair: Pair, side: str) -> Key:
        """What ``ahead`` knows a side of a comparison by.

        With its arm: a test that is run may ask for another than it did when it was rehearsed.
        """
        return self.claim_id, self.device, pair.key, side, str(pair.arms[side])

    def drawn(self, stage: int) -> tuple[int, ...]:
        """The seeds of a stage."""
        return seeds.stage(stage, self._count(), self.setting.salt)

    def referred(self) -> tuple[int, ...]:
        """The seeds on which the rounding envelope is judged."""
        return seeds.reference()[: self._count()]

    def look(self, pair: Pair, side: str) -> Known:
        """Train one side on the first seeds and measure what judging it will ask for."""
        values = self.laboratory.values(
            pair.probe, pair.arms[side], self.drawn(seeds.FIRST), self.device
        )
        return Known(values, self._followed(pair, side, self._recorded(pair)))

    def summary(self) -> results.Verdict:
        """The claim's verdict: the worst of its comparisons."""
        return results.worst(entry["verdict"] for entry in self.probes)

    # --- one comparison -------------------------------------------------------------------------

    def _ask(self, pair: Pair, only: str) -> None:
        if only not in ("", self.device.partition(":")[0]):
            self.spared.add(pair.name)
            return
        self._demand_float64(pair)
        self._judge(pair)

    def _demand_float64(self, pair: Pair) -> None:
        """Skip a claim whose arms train in float64 where there is none."""
        wide = [arm.label for arm in pair.arms.values() if arm.recipe.dtype == "float64"]
        if wide and not devices.has_float64(self.device):
            pytest.skip(f"'{self.device}' has no float64, in which {wide[0]} is to be trained")

    def _judge(self, pair: Pair) -> None:
        limit = self.baselines.limit(self.claim, pair.name)
        entry = _blank(pair, limit, self.kind)
        where = f"[{self.claim}.{pair.name}] in {self.baselines.folder / 'limits.toml'}"
        self.probes.append(entry)
        self.pairs.append(pair)
        problem = judgement.unusable(pair, limit, where)
        if any(known.key == pair.key for known in self.pairs[:-1]):
            problem = f"{pair.key} is judged twice in this claim; give each its own case="
        if limit is None or problem:
            entry["reason"] = problem
            return
        try:
            entry.update(self._entry(self._two_stages(pair, limit), pair))
        except (NetworkError, InitializerError) as error:
            entry["reason"] = str(error)
        except DataError as error:
            entry["reason"] = str(error)
            if self._may_lack(pair):
                raise

    def _may_lack(self, pair: Pair) -> bool:
        """Whether nobody demanded the data, so that without them the claim is skipped.

        Whoever names their place demands them, and whoever asks for the full scale, which needs
        them: a run from which just those claims are missing must not look green.
        """
        if self.setting.scale == "full":
            return False
        elsewhere = {arm.data for arm in pair.arms.values()} <= {"mnist", "cifar10"}
        return elsewhere and self.laboratory.root is None and not self.laboratory.download

    def _two_stages(self, pair: Pair, limit: LimitEntry) -> Stage:
        """Green on the first seeds: done. Red only if fresh seeds say the same."""
        recorded = self._recorded(pair)
        first = self._stage(seeds.FIRST, pair, limit, recorded)
        followed = {side: self._followed(pair, side, recorded) for side in SIDES}
        first = replace(first, drifts={s: followed[s] | first.drifts[s] for s in SIDES})
        if not first.open:
            return first
        return first.confirmed(self._stage(seeds.FRESH, pair, limit, recorded))

    def _stage(self, number: int, pair: Pair, limit: LimitEntry, recorded: dict[str, Any]) -> Stage:
        drawn = self.drawn(number)
        measured = {side: self._values(number, pair, side) for side in SIDES}
        values = Values(drawn, **measured)
        comparison = recorded.get("comparison")
        moved = {
            side: drift.outcomes(
                side, measured[side], comparison, unit=limit.unit, alpha1=self._alpha1
            )
            if comparison and pair.form != "rate" else {}
            for side in SIDES
        }  # fmt: skip
        least = self._least(limit, comparison) if pair.form == "rate" else 0
        return Stage(number, values, judgement.judge(pair, values, limit, least), moved)

    def _values(self, stage: int, pair: Pair, side: str) -> list[float]:
        known = self.ahead(self.key(pair, side)) if stage == seeds.FIRST else None
        if known is not None:
            return known.values
        return self.laboratory.values(pair.probe, pair.arms[side], self.drawn(stage), self.device)

    def _entry(self, stage: Stage, pair: Pair) -> dict[str, Any]:
        """What the results file says of a judged comparison."""
        drifts = {side: drift.named(stage.drifts[side], arm) for side, arm in pair.arms.items()}
        required = self.setting.evidence_required
        verdicts = [drift.verdict(found, required=required) for found in drifts.values()]
        # dict.fromkeys: of both arms, "stale" is said once
        reasons = [stage.finding.reason, *dict.fromkeys(d.get("reason") for d in drifts.values())]
        return {
            "treated": stage.values.treated, "control": stage.values.control,
            "seeds": list(stage.values.seeds), "stage": stage.number,
            "margin": stage.finding.margin, "margin_unit": stage.finding.margin_unit,
            "p_value": stage.finding.p_value,
            "verdict": results.worst([stage.finding.verdict, *verdicts]),
            "reason": "; ".join(filter(None, reasons)),
            "drift": {side: drift.shown(found) for side, found in drifts.items()},
        }  # fmt: skip

    def _count(self) -> int:
        return self.setting.count or decisions.SEEDS[self.kind]

    @property
    def _alpha1(self) -> float:
        return decisions.per_stage(decisions.split(self.baselines.registered))

    def _least(self, limit: LimitEntry, comparison: dict[str, Any] | None) -> int:
        """How many seeds must succeed, by the limit and by what was recorded: the stricter."""
        n = self._count()
        least = decisions.least_of(limit.low, n, self._alpha1)
        recorded = comparison["treated"] if comparison else []
        if len(recorded) < decisions.ENOUGH_RECORDED:
            return least
        counts = int(sum(recorded)), len(recorded)
        return max(least, decisions.least_successes(counts, n, self._alpha1))

    # --- is training unchanged ------------------------------------------------------------------

    def _recorded(self, pair: Pair) -> dict[str, Any]:
        """The entry and the comparison to judge by, or why there is none."""
        entry = self.baselines.recorded(self.claim_id, machine(self.device))
        data = {arm.data: self.laboratory.data(arm.data).fingerprint for arm in pair.arms.values()}
        missing = drift.lacking(pair, entry, data)
        if entry is None or missing:
            return {"missing": missing}
        return {"entry": entry, "comparison": entry["comparisons"][pair.key]}

    def _followed(self, pair: Pair, side: str, recorded: dict[str, Any]) -> Drift:
        """The rounding envelope of one arm, whatever the stage and the salt: its own seeds."""
        if "entry" not in recorded:
            return dict(recorded["missing"])
        known = self.ahead(self.key(pair, side))
        if known is not None:
            return known.followed
        arm = pair.arms[side]
        if arm not in self._departures:  # several probes share an arm
            trained = self.laboratory.trained(arm, self.referred(), self.device)
            self._departures[arm] = drift.followed(arm, trained, recorded["entry"])
        return self._departures[arm]


def _blank(pair: Pair, limit: LimitEntry | None, kind: str) -> dict[str, Any]:
    """A comparison before it is judged: invalid until something else is shown."""
    return {
        "probe": pair.name, "case": pair.case, "form": pair.form,
        "kind": limit.kind if limit else kind,
        "unit": limit.unit if limit else "", "why": limit.why if limit else "",
        "fault": limit.fault if limit else "", "limit": limit.shown(pair.form) if limit else {},
        "treated": [], "control": [], "treated_name": pair.treated.label,
        "control_name": pair.control.label, "margin": None, "margin_unit": "units",
        "p_value": None, "drift": {}, "stage": 1, "seeds": [], "verdict": "invalid",
        "reason": "",
    }  # fmt: skip
