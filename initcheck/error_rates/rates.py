"""Error rates, each computed by a small pure function from runs or from evidence."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from initcheck.baselines.limits import LimitEntry
from initcheck.error_rates.runs import Run
from initcheck.gate.comparison import SIDES
from initcheck.stats import decisions, distributions

SPLITS = 2000  # of each recording, into values that play "recorded" and values that play "now"
BOUND = 0.01  # share of false alarms that the clean runs are to exclude
Arm = tuple[str, str]  # claim with its parameters, arm


def lower_bound(successes: int, trials: int) -> float:
    """Lower one-sided 95 % bound of a share (Clopper & Pearson 1934, Biometrika 26, 404)."""
    from scipy.stats import binomtest  # noqa: PLC0415 -- scipy.stats costs a second

    return float(binomtest(successes, trials).proportion_ci(0.90, "exact").low) if trials else 0.0


def upper_bound(successes: int, trials: int) -> float:
    """Upper one-sided 95 % bound of a share, as ``lower_bound``."""
    return 1.0 - lower_bound(trials - successes, trials) if trials else 1.0


def more_runs(red: int, runs: int) -> int:
    """How many more runs, all green, would bound the share of false alarms by ``BOUND``."""
    return bisect_left(range(10**6), True, key=lambda more: upper_bound(red, runs + more) <= BOUND)


def envelopes(
    runs: Iterable[Run], *, losses_alone: bool = False
) -> dict[Arm, dict[str, float | None]]:
    """The largest r of each arm under each change or fault; None if no run judged the arm.

    ``losses_alone``: without the arm's tensors.
    """
    table: dict[Arm, dict[str, float | None]] = defaultdict(dict)
    for run in runs:
        for claim, arms in (run.losses if losses_alone else run.arms).items():
            for arm, r in arms.items():
                before = table[claim, arm].get(run.name)
                table[claim, arm][run.name] = r if before is None else max(before, r or 0.0)
    return dict(table)


def largest(table: Mapping[Arm, Mapping[str, float | None]]) -> tuple[float, Arm, str] | None:
    """The largest r, its arm, and the change or fault; None if no arm was judged."""
    rows = [
        (r, arm, name) for arm, row in table.items() for name, r in row.items() if r is not None
    ]
    return max(rows, key=lambda row: row[0]) if rows else None


@dataclass(frozen=True)
class Kills:
    """In how many runs one fault was caught.

    Attributes:
        caught: runs in which any claim went red.
        by_limit: runs in which a claim left its limit. Limits are judged on fresh seeds.
        by_record: runs in which a claim only left its record. A record's seeds never change, so
            that further runs give the same result.
        by_claim: for each claim, the runs in which it went red, and those in which it ran.
        parts: for each claim, how often each verdict was given, over runs and parameters.
    """

    fault: str
    runs: int
    caught: int
    by_limit: int
    by_record: int
    by_claim: Mapping[str, tuple[int, int]]
    parts: Mapping[str, Mapping[str, int]]


def kills(runs: Iterable[Run]) -> dict[str, Kills]:
    """The kill matrix: for each fault by name, how often each claim caught it."""
    by_fault: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_fault[run.name].append(run)
    return {fault: _kills(fault, runs_of_it) for fault, runs_of_it in sorted(by_fault.items())}


def _kills(fault: str, runs: Sequence[Run]) -> Kills:
    claims = sorted({claim for run in runs for claim in run.claims})
    counts = {
        claim: (sum(claim in run.red for run in runs), sum(claim in run.claims for run in runs))
        for claim in claims
    }
    parts: dict[str, Counter[str]] = defaultdict(Counter)
    for run in runs:
        for name, verdict in run.verdicts.items():
            parts[name.partition("[")[0]][verdict] += 1
    return Kills(
        fault, len(runs), caught=sum(bool(run.red) for run in runs),
        by_limit=sum("refuted" in run.verdicts.values() for run in runs),
        by_record=sum(map(_by_record, runs)), by_claim=counts, parts=dict(parts),
    )  # fmt: skip


def _by_record(run: Run) -> bool:
    verdicts = {*run.verdicts.values()}
    return "drifted" in verdicts and "refuted" not in verdicts


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
    """The recorded values of each arm for which the gate tests whether later values have moved.

    Arms with too few recorded values, or with equal ones, are left out.
    """
    for record in evidence:
        units = limits.get(record["claim"].partition("[")[0], {})
        for entry in record["environments"]:
            for probe, comparison in sorted(entry["comparisons"].items()):
                limit = units.get(probe.partition(" (")[0])
                yield from _samples(record["claim"], probe, comparison, limit.unit if limit else "")


def _samples(claim: str, probe: str, comparison: Mapping[str, Any], unit: str) -> Iterator[Sample]:
    sides = [comparison[side] for side in SIDES]
    if {*sides[0], *sides[1]} <= {0.0, 1.0}:
        return  # successes: the gate compares their count instead
    for side, values, other in zip(SIDES, sides, reversed(sides), strict=True):
        scale = distributions.scale(values, other, unit)
        if scale is not None:
            yield Sample(claim, probe, comparison[f"{side}_arm"], scale)


@dataclass(frozen=True)
class Sensitivity:
    """How the test of one distribution behaves.

    Attributes:
        alarms: splits of the recording in which the test alarmed, out of ``SPLITS``.
        alarms_without_delta: the same without the tolerance for differences too small to matter.
        nominal: the rate at which the test is meant to alarm.
        shift: the shift that it detects, in recorded standard deviations; None if it detects none.
        shift_measured: the same on the scale of the test.
    """

    sample: Sample
    alarms: int
    alarms_without_delta: int
    nominal: float
    shift: float | None
    shift_measured: float | None


def sensitivity(sample: Sample, registered: int, now: int) -> Sensitivity:
    """Count the alarms in splits of one recording, and find the shift that the test detects.

    Each split draws ``now`` of the recorded values without replacement and compares them with the
    others at the rate of one stage. ``registered`` comparisons share the rate of the whole gate.
    """
    alpha1 = decisions.per_stage(decisions.split(registered))
    scale = sample.scale
    drawn = np.random.default_rng(1).permuted(np.tile(scale.values, (SPLITS, 1)), axis=1)
    allowed, bare = (
        int(test.apart(drawn[:, now:], drawn[:, :now], alpha1).sum())
        for test in (scale, replace(scale, delta=0.0))
    )
    detectable = (
        distributions.detectable_by_trial
        if scale.name == distributions.RANKS
        else distributions.detectable
    )
    shift = detectable(scale, now, alpha1)
    size = None if shift is None else shift / float(scale.values.std(ddof=1))
    return Sensitivity(sample, allowed, bare, alpha1, size, shift)


@dataclass(frozen=True)
class Gain:
    """A paired gain, resampled from its own recording.

    Attributes:
        behind: recorded pairs that do not exceed the margin, out of ``recorded``.
        missed: share of draws in which a stage does not show the gain.
    """

    claim: str
    probe: str
    behind: int
    recorded: int
    missed: float

    @property
    def alarms(self) -> float:
        """The share of runs in which neither stage shows the gain."""
        return self.missed**2


def gains(
    evidence: Iterable[Mapping[str, Any]], limits: Mapping[str, Mapping[str, LimitEntry]], now: int
) -> list[Gain]:
    """Every recorded comparison of the form ``gains``; a stage has ``now`` seeds."""
    recorded = []
    for record in evidence:
        units = limits.get(record["claim"].partition("[")[0], {})
        for entry in record["environments"]:
            for probe, comparison in sorted(entry["comparisons"].items()):
                limit = units.get(probe.partition(" (")[0])
                if comparison.get("form") == "gains" and limit and limit.margin is not None:
                    recorded.append(_gain(record["claim"], probe, comparison, limit.margin, now))
    return recorded


def _gain(claim: str, probe: str, comparison: Mapping[str, Any], margin: float, now: int) -> Gain:
    d = np.subtract(comparison["treated"], comparison["control"]) - margin
    return Gain(claim, probe, int((d <= 0).sum()), len(d), decisions.gain_missed(d, now))


def share(part: int, whole: int) -> str:
    """A share with its lower bound, such as 59/59 (>= 0.950)."""
    return f"{part}/{whole} (>= {lower_bound(part, whole):.3f})"


def rounded(r: float | None) -> str:
    """Two digits of r; a dash if the arm was not judged."""
    if r is None:
        return "-"
    return "inf" if not math.isfinite(r) or r >= 1e30 else f"{r:.2g}" if r < 100 else f"{r:.1e}"
