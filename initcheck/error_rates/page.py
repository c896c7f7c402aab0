"""OPERATING.md: how often the gate was wrong, in how many runs, and what was not measured.

Python computes the figures; the words are in ``templates/operating.md.j2``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from initcheck.baselines.evidence import read_evidence
from initcheck.baselines.folder import Baselines
from initcheck.envelope.compare import FACTOR
from initcheck.error_rates import false_alarms, power, rates
from initcheck.error_rates.runs import KINDS, Run
from initcheck.faults import FAULTS, bound
from initcheck.faults.innocent import INNOCENT
from initcheck.files.templates import markdown_template, single_blank_lines
from initcheck.stats import decisions

FARTHEST = 10  # arms shown of another machine's evidence
SEEDS = decisions.SEEDS["measured"]  # per stage
Row = Sequence[object]


def page(runs: Sequence[Run], baselines: Path, left_out: Mapping[str, int] | None = None) -> str:
    """The whole page; the same runs and evidence give the same text.

    Args:
        runs: those that count.
        baselines: limits and evidence.
        left_out: by kind, how many stored runs do not count.
    """
    kinds = {kind: [run for run in runs if run.kind == kind] for kind in KINDS}
    evidence = [read_evidence(path) for path in sorted((baselines / "evidence").glob("*.json"))]
    known = Baselines(baselines)
    seeded = [run for run in kinds["fault"] if run.name in FAULTS]
    limits = known.limits
    text = markdown_template("error_rates", "operating.md.j2").render(
        limit=f"{FACTOR:g}",
        splits=rates.SPLITS,
        seeds=SEEDS,
        origins=_origins(runs),
        clean=false_alarms.of(kinds["clean"]),
        left_out=Counter(left_out or {}),
        innocent=_innocent(kinds["innocent"]),
        elsewhere=[_elsewhere(run) for run in kinds["elsewhere"]],
        power=power.of(seeded, bound(limits), limits),
        moved=power.moved(seeded),
        gains=_gains(rates.gains(evidence, limits, SEEDS)),
        outcomes=_outcomes(rates.samples(evidence, limits), known.registered),
    )
    return single_blank_lines(text)


def _origins(runs: Iterable[Run]) -> list[Row]:
    """Rows of commit, torch, machine, number of runs, first and last date; the oldest first."""
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for run in sorted(runs, key=lambda run: (run.date, run.commit, run.torch)):
        grouped.setdefault((run.commit or "unknown", run.torch, run.machine), []).append(run.date)
    return [[*origin, len(dates), min(dates), max(dates)] for origin, dates in grouped.items()]


@dataclass(frozen=True)
class Rerun:
    """Claims that changed after some runs and were run again on the same seeds."""

    runs: int
    commits: Sequence[str]
    claims: Sequence[str]


def _rerun(runs: Sequence[Run]) -> Rerun | None:
    commits = {claim: commit for run in runs for claim, commit in run.again.items()}
    if not commits:
        return None
    return Rerun(sum(bool(run.again) for run in runs), sorted({*commits.values()}), sorted(commits))


# --- innocent changes -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Innocent:
    """The r of every arm under every innocent change.

    Attributes:
        values: pairs of arm and change; ``judged`` of them have an r.
        r, claim, arm, change: the largest of them, and where it was found.
        changes: what each change is; each has a column in ``rows``, behind claim and arm.
        absent: changes that were not run.
        by_change: a row for each change: arms judged, the largest r, its arm, and the largest r of
            losses alone.
    """

    values: int
    judged: int
    r: float
    claim: str
    arm: str
    change: str
    changes: Mapping[str, str]
    absent: Sequence[str]
    rows: Sequence[Row]
    by_change: Sequence[Row]
    rerun: Rerun | None


def _innocent(runs: Sequence[Run]) -> Innocent | None:
    table = rates.envelopes(runs)
    largest = rates.largest(table)
    if largest is None:
        return None
    r, (claim, arm), change = largest
    names = sorted({name for row in table.values() for name in row}, key=_place)
    values = [value for row in table.values() for value in row.values()]
    judged = sum(value is not None for value in values)
    return Innocent(
        len(values), judged, r, claim, arm, change,
        changes={name: _description(name, runs) for name in names},
        absent=[name for name in INNOCENT if name not in names],
        rows=[
            [*arm, *(rates.rounded(row.get(name)) for name in names)]
            for arm, row in sorted(table.items())
        ],
        by_change=[_change(name, runs) for name in names],
        rerun=_rerun(runs),
    )  # fmt: skip


def _change(name: str, runs: Iterable[Run]) -> Row:
    """A change, the arms judged under it, the largest r with its arm, and that of losses alone."""
    of_change = [run for run in runs if run.name == name]
    table = rates.envelopes(of_change)
    judged = sum(row[name] is not None for row in table.values())
    r, (claim, arm), _ = rates.largest(table) or (None, ("-", "-"), "")
    alone = rates.largest(rates.envelopes(of_change, losses_alone=True))
    of_losses = rates.rounded(alone[0]) if alone else "-"
    return [f"`{name}`", judged, rates.rounded(r), f"{claim}: {arm}", of_losses]


def _place(name: str) -> tuple[int, str]:
    """Sort key: innocent changes as ``INNOCENT`` has them, then devices and versions by name."""
    names = list(INNOCENT)
    return (names.index(name) if name in names else len(names), name)


def _description(name: str, runs: Iterable[Run]) -> str:
    """What was changed, and the machines; for another torch or device, only these."""
    change = INNOCENT.get(name)
    machines = [
        run.machine if change else f"{run.machine}, torch {run.torch}"
        for run in runs if run.name == name
    ]  # fmt: skip
    return "; ".join(dict.fromkeys([change.description, *machines] if change else machines))


@dataclass(frozen=True)
class Elsewhere:
    """Another machine's evidence: how many arms differ from those recorded here, and how far."""

    run: Run
    judged: int
    differing: int
    beyond_one: int
    beyond_limit: int
    farthest: Sequence[Row]


def _elsewhere(run: Run) -> Elsewhere:
    judged = [
        (r, claim, arm) for claim, arms in run.arms.items() for arm, r in arms.items()
        if r is not None
    ]  # fmt: skip
    differing = sorted((each for each in judged if each[0]), reverse=True)
    beyond_one, beyond_limit = (sum(r > least for r, *_ in differing) for least in (1, FACTOR))
    farthest = [[claim, arm, rates.rounded(r)] for r, claim, arm in differing[:FARTHEST]]
    return Elsewhere(run, len(judged), len(differing), beyond_one, beyond_limit, farthest)


# --- gains and outcomes ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Gains:
    """Paired gains, and those with a recorded pair that does not exceed the margin."""

    recorded: int
    alarms: float
    rows: Sequence[Row]


def _gains(gains: Sequence[rates.Gain]) -> Gains:
    rows = [
        [gain.claim, gain.probe, f"{gain.behind} of {gain.recorded}",
         f"{gain.missed:.2%}", f"{gain.alarms:.3%}"]
        for gain in gains if gain.behind
    ]  # fmt: skip
    return Gains(len(gains), sum(gain.alarms for gain in gains), rows)


@dataclass(frozen=True)
class Outcomes:
    """Split recordings: the rate at which each was tested, and one row for each."""

    nominal: float
    rows: Sequence[Row]


def _outcomes(samples: Iterable[rates.Sample], registered: int) -> Outcomes | None:
    tests = [rates.sensitivity(sample, registered, SEEDS) for sample in samples]
    return Outcomes(tests[0].nominal, [_outcome(test) for test in tests]) if tests else None


def _outcome(test: rates.Sensitivity) -> Row:
    sample, scale = test.sample, test.sample.scale
    alarms = [f"{n / rates.SPLITS:.2%}" for n in (test.alarms_without_delta, test.alarms)]
    shift = ["none is detected", "-"]
    if test.shift is not None and test.shift_measured is not None:
        shift = [f"{test.shift:.2f} s", f"{test.shift_measured:.3g}"]
    start = sample.arm.split(" | ")[1]
    return [sample.claim, sample.probe, start, len(scale.values), scale.name, *alarms, *shift]
