"""The ``verdict`` fixture: a claim's test declares comparisons, then each is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from initcheck import devices, results
from initcheck.arms import Arm
from initcheck.baselines.evidence import BaselineError
from initcheck.baselines.folder import Baselines
from initcheck.baselines.limits import LimitEntry
from initcheck.datasets import DataError
from initcheck.devices.compute import machine
from initcheck.gate import drift, holds, seeds
from initcheck.gate.comparison import SIDES, Pair
from initcheck.gate.drift import Drift
from initcheck.gate.holds import Finding, Values
from initcheck.gate.setting import Setting
from initcheck.gate.stage import Stage, blank
from initcheck.gate.trainer import Laboratory
from initcheck.initializers import InitializerError
from initcheck.networks import NetworkError
from initcheck.probes import Difference, Probe
from initcheck.results import Comparison
from initcheck.stats import decisions

Key = tuple[str, str, str, str]  # claim with its parameters, device, comparison, side

#: A claim is skipped for these; the second, if nobody demanded the data.
SKIPPED_FOR = (pytest.skip.Exception, DataError)


@dataclass(frozen=True)
class Measured:
    """One side of a comparison on the first seeds: one value per seed, and its drift."""

    values: list[float]
    drift: Drift


@dataclass
class Verdict:
    """The ``verdict`` fixture, one per claim and device: the test declares, then `judge` decides.

    Attributes:
        laboratory: trains and measures what is not prefetched.
        fixed_count: seeds per stage that the claim states, or None for the number for its kind.
        prefetched: gives what was measured before the claim's turn, or None.
        pairs: the comparisons that the test declared for this type of device.
        skipped: probes of comparisons that are declared for another type of device only.
        probes: one entry per judged comparison.
        error: what the test raised when it was called before its turn.
        called: whether the test was called before its turn.
    """

    claim: str
    claim_id: str
    device: str
    kind: str
    laboratory: Laboratory
    baselines: Baselines
    setting: Setting = field(default_factory=Setting)
    fixed_count: int | None = None
    prefetched: Callable[[Key], Measured | None] = lambda key: None
    pairs: list[Pair] = field(default_factory=list)
    skipped: set[str] = field(default_factory=set)
    probes: list[Comparison] = field(default_factory=list)
    error: BaseException | None = None
    called: bool = False
    _envelopes: dict[Arm, Drift] = field(default_factory=dict)

    # --- what a test declares -------------------------------------------------------------------

    def holds(
        self, probe: Probe, *, treated: Arm, control: Arm, case: str = "", only: str = ""
    ) -> None:
        """Declare: every treated seed is inside the limit, every control seed outside.

        Args:
            probe: what is measured, one value per seed.
            treated: the arm that the claim is about.
            control: the arm that must be on the other side of the same limit.
            case: distinguishes several uses of one probe in one claim.
            only: the one type of device that this is claimed for, such as ``cpu``; every type if
                empty.
        """
        self._declare(Pair(probe, treated, control, case, "holds"), only)

    def gains(
        self, probe: Probe, *, better: Arm, worse: Arm, case: str = "", only: str = ""
    ) -> None:
        """Declare: paired by seed, data and order, the better arm leads by more than the margin."""
        self._declare(Pair(probe, better, worse, case, "gains"), only)

    def rate(
        self, probe: Probe, *, treated: Arm, control: Arm, case: str = "", only: str = ""
    ) -> None:
        """Declare: enough treated seeds succeed, and too few control seeds do.

        ``probe`` gives 1 for a seed that succeeds, else 0. The limit's ``min`` is the smallest
        share of seeds that must succeed. If 64 or more seeds are recorded, the lower confidence
        bound of their rate sharpens it.
        """
        self._declare(Pair(probe, treated, control, case, "rate"), only)

    def equal(
        self, difference: Difference, *, treated: Arm, reference: Arm, control: Arm,
        case: str = "", only: str = "",
    ) -> None:  # fmt: skip
        """Declare: the treated arm's difference from the reference is in the limit, control's not.

        With ``max = 0`` the treated arm equals the reference in bits and the control does not.
        ``difference`` is called with a trained arm and the trained reference, which have the same
        seeds, and returns one value per seed. The other arguments are those of ``holds``.
        """
        self._declare(Pair(difference, treated, control, case, "holds", reference), only)

    def _declare(self, pair: Pair, only: str) -> None:
        if only in ("", self.device.partition(":")[0]):
            self.pairs.append(pair)
        else:
            self.skipped.add(pair.name)

    # --- what is trained for it -----------------------------------------------------------------

    def key(self, pair: Pair, side: str) -> Key:
        """The key of one side's prefetched values: claim, device, comparison and side."""
        return self.claim_id, self.device, pair.key, side

    def stage_seeds(self, stage: int) -> tuple[int, ...]:
        """The seeds of a stage."""
        return seeds.stage(stage, self._count(), self.setting.salt)

    def envelope_seeds(self) -> tuple[int, ...]:
        """The seeds on which the rounding envelope is judged."""
        return () if self.setting.judge == "outcomes" else seeds.reference()[: self._count()]

    def measure(self, pair: Pair, side: str, laboratory: Laboratory) -> Measured:
        """Train one side on the first seeds in this laboratory, and measure what `judge` needs."""
        drawn = self.stage_seeds(seeds.FIRST)
        values = pair.measured(side, drawn, self.device, laboratory)
        return Measured(values, self._envelope(pair, side, self._recorded(pair), laboratory))

    # --- judging --------------------------------------------------------------------------------

    def judge(self) -> None:
        """Judge every declared comparison, in the order of declaration.

        Raises:
            pytest.skip.Exception: the device has no float64, and an arm is to train in it.
            DataError: data are missing that nobody demanded, so the claim is to be skipped.
        """
        for place, pair in enumerate(self.pairs):
            twice = any(pair.key == other.key for other in self.pairs[:place])
            self._skip_without_float64(pair)
            self._judge(pair, twice=twice)

    def summary(self) -> results.Verdict:
        """The claim's verdict: the worst of its comparisons."""
        return results.worst(probe.verdict for probe in self.probes)

    def _skip_without_float64(self, pair: Pair) -> None:
        wide = [arm.label for arm in pair.arms.values() if arm.recipe.dtype == "float64"]
        if wide and not devices.has_float64(self.device):
            pytest.skip(f"'{self.device}' has no float64, in which {wide[0]} is to be trained")

    def _judge(self, pair: Pair, *, twice: bool) -> None:
        limit = self.baselines.limit(self.claim, pair.name)
        self.probes.append(blank(pair, limit, self.kind))
        where = f"[{self.claim}.{pair.name}] in {self.baselines.folder / 'limits.toml'}"
        problem = holds.unusable(pair, limit, where)
        if twice:
            problem = f"{pair.key} is judged twice in this claim; give each its own case="
        if limit is None or problem:
            self._amend(reason=problem)
            return
        try:
            stage = self._two_stages(pair, limit)
            self._amend(**stage.entry(required=self.setting.evidence_required))
        except (NetworkError, InitializerError, BaselineError) as error:
            self._amend(reason=str(error))
        except DataError as error:
            self._amend(reason=str(error))
            if self._may_lack(pair):
                raise

    def _amend(self, **known: Any) -> None:
        """Add to the last comparison what is known by now."""
        self.probes[-1] = replace(self.probes[-1], **known)

    def _may_lack(self, pair: Pair) -> bool:
        """Whether nobody demanded the data, so that the claim is skipped without them.

        Naming their folder demands them, and so does full scale: a run that lacks just those
        claims must not look green.
        """
        if self.setting.scale == "full":
            return False
        separate = {arm.data for arm in pair.arms.values()} <= {"mnist", "cifar10"}
        return separate and self.laboratory.root is None and not self.laboratory.download

    def _two_stages(self, pair: Pair, limit: LimitEntry) -> Stage:
        """Green on the first seeds is green. Red needs fresh seeds to agree."""
        recorded = self._recorded(pair)
        first = self._stage(seeds.FIRST, pair, limit, recorded)
        envelopes = {s: self._prefetched_envelope(pair, s, recorded) for s in pair.arms}
        first = replace(first, drifts={s: envelopes[s] | first.drifts[s] for s in pair.arms})
        if not first.open:
            return first
        return first.confirmed(self._stage(seeds.FRESH, pair, limit, recorded))

    def _stage(self, number: int, pair: Pair, limit: LimitEntry, recorded: dict[str, Any]) -> Stage:
        measured = {side: self._values(number, pair, side) for side in SIDES}
        values = Values(self.stage_seeds(number), **measured)
        comparison = recorded.get("comparison")
        moved = {
            side: drift.outcomes(
                side, measured[side], comparison, unit=limit.unit, alpha1=self._alpha1
            )
            if comparison and pair.form != "rate" and side in SIDES else {}
            for side in pair.arms
        }  # fmt: skip
        return Stage(number, values, self._finding(pair, values, limit, comparison), moved)

    def _finding(
        self, pair: Pair, values: Values, limit: LimitEntry, comparison: dict[str, Any] | None
    ) -> Finding:
        if self.setting.judge == "record" and limit.kind == "measured":
            return Finding("pass")
        least = self._least(limit, comparison) if pair.form == "rate" else 0
        return holds.judge(pair, values, limit, least)

    def _values(self, stage: int, pair: Pair, side: str) -> list[float]:
        measured = self.prefetched(self.key(pair, side)) if stage == seeds.FIRST else None
        if measured is not None:
            return measured.values
        return pair.measured(side, self.stage_seeds(stage), self.device, self.laboratory)

    @property
    def usual_count(self) -> int:
        """Seeds per stage without any option."""
        return self.fixed_count or decisions.SEEDS[self.kind]

    def _count(self) -> int:
        if self.setting.judge == "record":
            return seeds.REFERENCE
        return self.setting.count or self.usual_count

    @property
    def _alpha1(self) -> float:
        return decisions.per_stage(decisions.split(self.baselines.registered))

    def _least(self, limit: LimitEntry, comparison: dict[str, Any] | None) -> int:
        """How many seeds must succeed, by the limit and by the record: the larger of the two."""
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

    def _prefetched_envelope(self, pair: Pair, side: str, recorded: dict[str, Any]) -> Drift:
        measured = self.prefetched(self.key(pair, side)) if "entry" in recorded else None
        if measured is not None:
            return measured.drift
        return self._envelope(pair, side, recorded, self.laboratory)

    def _envelope(
        self, pair: Pair, side: str, recorded: dict[str, Any], laboratory: Laboratory
    ) -> Drift:
        """One arm's distance from its record, on seeds that neither stage nor salt changes."""
        if "entry" not in recorded:
            return dict(recorded["missing"])
        arm, entry = pair.arms[side], recorded["entry"]
        if self.setting.judge == "outcomes":
            return drift.not_judged(arm, entry)
        if arm not in self._envelopes:  # several comparisons share an arm
            trained = laboratory.trained(arm, self.envelope_seeds(), self.device)
            self._envelopes[arm] = drift.envelope(arm, trained, entry)
        return self._envelopes[arm]
