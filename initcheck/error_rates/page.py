"""OPERATING.md: how often the gate was wrong, in how many runs, and what was not measured.

Python computes the figures; the words are in ``templates/operating.md.j2``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from initcheck.baselines.evidence import read_evidence
from initcheck.baselines.folder import Baselines
from initcheck.envelope.compare import FACTOR
from initcheck.error_rates import rates
from initcheck.error_rates.changes import INNOCENT
from initcheck.error_rates.measure import REPEATS
from initcheck.error_rates.runs import KINDS, Run
from initcheck.faults import FAULTS, bound
from initcheck.report.tables import single_blank_lines, template
from initcheck.stats import decisions

FARTHEST = 10  # arms shown of another machine's evidence
SEEDS = decisions.SEEDS["measured"]  # per stage
Row = Sequence[object]


def page(runs: Sequence[Run], baselines: Path) -> str:
    """The whole page; the same runs and evidence give the same text."""
    kinds = {kind: [run for run in runs if run.kind == kind] for kind in KINDS}
    evidence = [read_evidence(path) for path in sorted((baselines / "evidence").glob("*.json"))]
    known = Baselines(baselines)
    seeded = [run for run in kinds["fault"] if run.name in FAULTS]
    text = template("error_rates", "operating.md.j2").render(
        limit=f"{FACTOR:g}",
        splits=rates.SPLITS,
        seeds=SEEDS,
        origins=_origins(runs),
        clean=_clean(kinds["clean"]),
        innocent=_innocent(kinds["innocent"]),
        elsewhere=[_elsewhere(run) for run in kinds["elsewhere"]],
        power=_power(kinds["fault"], seeded, bound(known.limits)),
        moved=_moved(seeded),
        gains=_gains(rates.gains(evidence, known.limits, SEEDS)),
        outcomes=_outcomes(rates.samples(evidence, known.limits), known.registered),
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


# --- false alarms ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Clean:
    """Whole runs with nothing changed.

    Attributes:
        red: salt, and claims with their verdicts, of each run that was not green.
        bound: upper 95 % confidence bound of the share of such runs.
        more: green runs that are missing until that bound is ``goal``.
    """

    runs: int
    red: Sequence[tuple[str, str]]
    bound: float
    more: int
    goal: float
    rerun: Rerun | None


def _clean(runs: Sequence[Run]) -> Clean | None:
    if not runs:
        return None
    red = [
        (run.salt, ", ".join(f"{claim} {run.claims[claim]}" for claim in run.red))
        for run in runs if run.red
    ]  # fmt: skip
    upper, more = (f(len(red), len(runs)) for f in (rates.upper_bound, rates.more_runs))
    return Clean(len(runs), red, upper, int(more), rates.BOUND, _rerun(runs))


@dataclass(frozen=True)
class Innocent:
    """The r of every arm under every innocent change.

    Attributes:
        values: pairs of arm and change; ``judged`` of them have an r.
        r, claim, arm, change: the largest of them, and where it was found.
        changes: what each change is; each has a column in ``rows``, behind claim and arm.
        absent: changes that were not run.
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
        rerun=_rerun(runs),
    )  # fmt: skip


def _place(name: str) -> tuple[int, str]:
    """Changes in the order in which they are declared, then other devices and versions by name."""
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


# --- faults ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Power:
    """How many of the seeded faults the gate caught. A run catches a fault if a claim is red.

    Attributes:
        always, sometimes: how many faults every run caught, and how many only some runs.
        never: names of the faults that no run caught.
        rows: table rows: fault, share of runs that caught it, red claims with their counts.
        repeats: after this many runs of a fault, later runs stop at the first red claim.
        first_reports: per fault, the first red claim of its first red run, with the reason.
        green: faults for which a claim that names them stayed green in some run.
        unbound, need_accelerator, waiting: faults without runs: no claim names them, the machine
            has no accelerator, or their turn has not come.
        gone: faults that have stored runs but no longer exist.
    """

    always: int
    sometimes: int
    never: Sequence[str]
    rows: Sequence[Row]
    repeats: int
    first_reports: Sequence[tuple[str, str, str]]
    green: Sequence[str]
    unbound: Sequence[str]
    need_accelerator: Sequence[str]
    waiting: Sequence[str]
    gone: Sequence[str]
    rerun: Rerun | None


def _power(
    runs: Sequence[Run], seeded: Sequence[Run], claims: Mapping[str, Sequence[str]]
) -> Power:
    kills = rates.kills(seeded)
    always = sum(kill.caught == kill.runs for kill in kills.values())
    never = [name for name, kill in kills.items() if not kill.caught]
    idle = [name for name in FAULTS if name not in kills]
    needy = [name for name in idle if claims[name] and FAULTS[name].needs_accelerator]
    return Power(
        always, len(kills) - always - len(never), never,
        rows=[
            [f"`{name}`", _caught(kill), _red_claims(kill, claims[name])]
            for name, kill in kills.items()
        ],
        repeats=REPEATS,
        first_reports=_first_reports(seeded),
        green=[
            f"{name} for {claim}" for name, kill in kills.items()
            for claim, (red, ran) in kill.by_claim.items() if claim in claims[name] and red < ran
        ],
        unbound=[name for name in idle if not claims[name]],
        need_accelerator=needy,
        waiting=[name for name in idle if claims[name] and name not in needy],
        gone=sorted({run.name for run in runs} - set(FAULTS)),
        rerun=_rerun(seeded),
    )  # fmt: skip


def _caught(kill: rates.Kills) -> str:
    """The share of runs, with its bound if runs use fresh seeds."""
    if kill.certain:
        return f"{kill.caught}/{kill.runs} by the record"
    return rates.share(kill.caught, kill.runs)


def _red_claims(kill: rates.Kills, bound_to: Sequence[str]) -> str:
    return ", ".join(
        f"**{claim}** {red}/{ran}" if claim in bound_to else f"{claim} {red}/{ran}"
        for claim, (red, ran) in kill.by_claim.items()
    )


def _first_reports(runs: Iterable[Run]) -> list[tuple[str, str, str]]:
    first: dict[str, Run] = {}
    for run in runs:
        if run.red:
            first.setdefault(run.name, run)
    return [
        (name, run.red[0], run.why.get(run.red[0], "no reason was kept"))
        for name, run in first.items()
    ]


def _moved(runs: Sequence[Run]) -> list[Row]:
    """Fault, arms beyond the limit, smallest and largest r, arms that were not judged."""
    rows: list[Row] = []
    for name in sorted({run.name for run in runs}):
        table = rates.envelopes(run for run in runs if run.name == name)
        judged = sorted(r for row in table.values() for r in row.values() if r is not None)
        if judged:
            beyond = f"{sum(r > FACTOR for r in judged)} of {len(judged)}"
            smallest, largest = rates.rounded(judged[0]), rates.rounded(judged[-1])
            rows.append([f"`{name}`", beyond, smallest, largest, len(table) - len(judged)])
    return rows


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
