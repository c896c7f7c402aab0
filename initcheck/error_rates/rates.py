"""The figures of the page, each a small pure function of runs or of evidence."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np

from initcheck.baselines.limits import LimitEntry
from initcheck.envelope.compare import FACTOR
from initcheck.error_rates.runs import Run
from initcheck.gate.comparison import SIDES
from initcheck.stats import decisions, distributions

SPLITS = 2000  # of one recording into a part that plays "recorded" and one that plays "now"
BOUND = 0.01  # of false alarms, that the clean runs are to show
Arm = tuple[str, str]  # claim with its parameters, arm


def lower_bound(successes: int, trials: int) -> float:
    """One-sided 95 % bound of a share from below: Clopper & Pearson 1934, Biometrika 26, 404."""
    from scipy.stats import binomtest  # noqa: PLC0415 -- scipy.stats costs a second

    return float(binomtest(successes, trials).proportion_ci(0.90, "exact").low) if trials else 0.0


def upper_bound(successes: int, trials: int) -> float:
    """The same from above."""
    return 1.0 - lower_bound(trials - successes, trials) if trials else 1.0


def more_runs(red: int, runs: int) -> int:
    """How many more runs, all of them green, would bound the false alarms by ``BOUND``."""
    return next(more for more in count() if upper_bound(red, runs + more) <= BOUND)


def envelopes(runs: Iterable[Run]) -> dict[Arm, dict[str, float | None]]:
    """For each arm r under each change or fault, the largest where it was run more than once."""
    found: dict[Arm, dict[str, float | None]] = defaultdict(dict)
    for run in runs:
        for claim, arms in run.arms.items():
            for arm, r in arms.items():
                before = found[claim, arm].get(run.name)
                found[claim, arm][run.name] = r if before is None else max(before, r or 0.0)
    return dict(found)


def largest(table: Mapping[Arm, Mapping[str, float | None]]) -> tuple[float, Arm, str] | None:
    """The largest r, whose, and under what; None where nothing was judged."""
    rows = [
        (r, arm, name) for arm, row in table.items() for name, r in row.items() if r is not None
    ]
    return max(rows, key=lambda row: row[0]) if rows else None


def by_envelope(run: Run) -> bool:
    """Whether an arm of a red claim left its rounding envelope, or its recorded start."""
    left = [
        r for name, arms in run.arms.items() if name.partition("[")[0] in run.red
        for r in arms.values() if r is not None
    ]  # fmt: skip
    return not all(r <= FACTOR for r in left)


@dataclass(frozen=True)
class Kills:
    """What became of one fault: in how many of how many runs each claim went red, and any did.

    Attributes:
        certain: whether each run was caught by envelope or start, whose seeds are always the same.
    """

    fault: str
    runs: int
    caught: int
    by_claim: Mapping[str, tuple[int, int]]
    certain: bool = False


def kills(runs: Iterable[Run]) -> dict[str, Kills]:
    """The kill matrix."""
    by_fault: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_fault[run.name].append(run)
    return {fault: _kills(fault, found) for fault, found in sorted(by_fault.items())}


def _kills(fault: str, runs: Sequence[Run]) -> Kills:
    claims = sorted({claim for run in runs for claim in run.claims})
    counts = {
        claim: (sum(claim in run.red for run in runs), sum(claim in run.claims for run in runs))
        for claim in claims
    }
    certain = all(map(by_envelope, runs))
    return Kills(fault, len(runs), sum(bool(run.red) for run in runs), counts, certain)


@dataclass(frozen=True)
class Sample:
    """The recorded values of one arm and probe, on the scale on which they are compared."""

    claim: str
    probe: str
    arm: str
    scale: distributions.Scale


def samples(
    evidence: Iterable[Mapping[str, Any]], limits: Mapping[str, Mapping[str, LimitEntry]]
) -> Iterator[Sample]:
    """Every recorded distribution that the gate can compare: 64 values that vary."""
    for whole in evidence:
        units = limits.get(whole["claim"].partition("[")[0], {})
        for entry in whole["environments"]:
            for probe, comparison in sorted(entry["comparisons"].items()):
                limit = units.get(probe.partition(" (")[0])
                yield from _samples(whole["claim"], probe, comparison, limit.unit if limit else "")


def _samples(claim: str, probe: str, comparison: Mapping[str, Any], unit: str) -> Iterator[Sample]:
    sides = [comparison[side] for side in SIDES]
    if {*sides[0], *sides[1]} <= {0.0, 1.0}:
        return  # successes, which are counted
    for side, values, other in zip(SIDES, sides, reversed(sides), strict=True):
        found = distributions.scale(values, other, unit)
        if found is not None:
            yield Sample(claim, probe, comparison[f"{side}_arm"], found)


@dataclass(frozen=True)
class Sensitivity:
    """How one distribution test behaves: alarms in split halves, and the shift that it sees."""

    sample: Sample
    alarms: int
    alarms_without_delta: int
    nominal: float
    shift: float | None  # in recorded standard deviations; None where ranks see none
    shift_measured: float | None  # on the scale


def sensitivity(sample: Sample, registered: int, now: int) -> Sensitivity:
    """Split halves at the rate of one stage, and the detectable shift.

    A split draws ``now`` of the recorded values without replacement and holds them against the
    others, with the tolerance that their number asks for.
    """
    alpha1 = decisions.per_stage(decisions.split(registered))
    whole = sample.scale
    drawn = np.random.default_rng(1).permuted(np.tile(whole.values, (SPLITS, 1)), axis=1)
    allowed, bare = (
        int(found.apart(drawn[:, now:], drawn[:, :now], alpha1).sum())
        for found in (whole, replace(whole, delta=0.0))
    )
    see = (
        distributions.detectable_by_trial
        if whole.name == distributions.RANKS
        else distributions.detectable
    )
    shift = see(whole, now, alpha1)
    size = None if shift is None else shift / float(whole.values.std(ddof=1))
    return Sensitivity(sample, allowed, bare, alpha1, size, shift)


@dataclass(frozen=True)
class Gain:
    """A paired gain, drawn again from its own recording: how often a stage would not be green."""

    claim: str
    probe: str
    behind: int  # recorded pairs that do not exceed the margin
    recorded: int
    missed: float

    @property
    def alarms(self) -> float:
        """The share of runs in which neither stage would be green."""
        return self.missed**2


def gains(
    evidence: Iterable[Mapping[str, Any]], limits: Mapping[str, Mapping[str, LimitEntry]], now: int
) -> list[Gain]:
    """Every recorded comparison that is judged by ``gains``."""
    found = []
    for whole in evidence:
        units = limits.get(whole["claim"].partition("[")[0], {})
        for entry in whole["environments"]:
            for probe, comparison in sorted(entry["comparisons"].items()):
                limit = units.get(probe.partition(" (")[0])
                if comparison.get("form") == "gains" and limit and limit.margin is not None:
                    found.append(_gain(whole["claim"], probe, comparison, limit.margin, now))
    return found


def _gain(claim: str, probe: str, comparison: Mapping[str, Any], margin: float, now: int) -> Gain:
    d = np.subtract(comparison["treated"], comparison["control"]) - margin
    return Gain(claim, probe, int((d <= 0).sum()), len(d), decisions.gain_missed(d, now))


def share(part: int, whole: int) -> str:
    """As in 59/59 (>= 0.950)."""
    return f"{part}/{whole} (>= {lower_bound(part, whole):.3f})"


def rounded(r: float | None) -> str:
    """Writes r in few digits; a dash where the arm was not judged."""
    if r is None:
        return "-"
    return "inf" if not math.isfinite(r) or r >= 1e30 else f"{r:.2g}" if r < 100 else f"{r:.1e}"
