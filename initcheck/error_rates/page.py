"""OPERATING.md: what was measured of the gate, from how many runs, and what was not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from initcheck.baselines.evidence import read_evidence
from initcheck.baselines.folder import Baselines
from initcheck.envelope.compare import FACTOR
from initcheck.error_rates import rates
from initcheck.error_rates.changes import INNOCENT
from initcheck.error_rates.measure import REPEATS
from initcheck.error_rates.runs import KINDS, Run
from initcheck.faults import FAULTS, bound
from initcheck.stats import decisions

NOTE = (
    "<!-- Written by `nox -s operating` from the runs in `baselines/operating/`; do not edit. -->"
)
FARTHEST = 10  # arms shown of another machine's record


def page(runs: Sequence[Run], baselines: Path) -> str:
    """The whole page, the same for the same runs and evidence."""
    kinds = {kind: [r for r in runs if r.kind == kind] for kind in KINDS}
    seeded = [run for run in kinds["fault"] if run.name in FAULTS]
    gone = sorted({run.name for run in kinds["fault"]} - set(FAULTS))
    evidence = [read_evidence(path) for path in sorted((baselines / "evidence").glob("*.json"))]
    known = Baselines(baselines)
    parts = [
        ["# How often the gate is wrong", "", NOTE, "", *_measured_on(runs)],
        _false_alarms(kinds["clean"]),
        _innocent(kinds["innocent"]),
        _elsewhere(kinds["elsewhere"]),
        _power(seeded, bound(known.limits), gone),
        _left(seeded),
        _gains(rates.gains(evidence, known.limits, decisions.SEEDS["measured"])),
        _distributions(rates.samples(evidence, known.limits), known.registered),
    ]
    return "\n".join(line for part in parts for line in [*part, ""]).rstrip() + "\n"


def _measured_on(runs: Sequence[Run]) -> Iterator[str]:
    """Commits, machines and versions, and how many runs each gave."""
    if not runs:
        yield "No run was measured yet."
        return
    yield from _table(
        ["commit", "torch", "machine", "runs", "first", "last"],
        [
            [commit or "unknown", torch, machine, len(found), min(dates), max(dates)]
            for (commit, torch, machine), found in _grouped(runs).items()
            for dates in [[run.date for run in found]]
        ],
    )


def _grouped(runs: Iterable[Run]) -> dict[tuple[str, str, str], list[Run]]:
    found: dict[tuple[str, str, str], list[Run]] = {}
    for run in sorted(runs, key=lambda r: (r.date, r.commit, r.torch)):
        found.setdefault((run.commit, run.torch, run.machine), []).append(run)
    return found


def _false_alarms(runs: Sequence[Run]) -> Iterator[str]:
    yield from ["## False alarms: the whole suite on fresh seeds, nothing changed", ""]
    if not runs:
        yield "Not measured: no such run was made."
        return
    red = [run for run in runs if run.red]
    yield (
        f"{len(red)} of {len(runs)} runs were not green: at most "
        f"{rates.upper_bound(len(red), len(runs)):.1%} of runs, with 95 % confidence."
    )
    if more := rates.more_runs(len(red), len(runs)):
        yield f"{more} more green runs would bound it by {rates.BOUND:.0%}."
    yield from _again(runs)
    yield (
        "The rounding envelope is left out of them: it is judged on the same seeds whatever the "
        "salt, and what it says of nothing changed stands under `same` below."
    )
    for run in red:
        yield f"- seeds `{run.salt}`: {', '.join(f'{c} {run.claims[c]}' for c in run.red)}"


def _again(runs: Sequence[Run]) -> Iterator[str]:
    """Which claims were run later than the rest of their run, and where."""
    found = {claim: commit for run in runs for claim, commit in run.again.items()}
    if found:
        count = sum(bool(run.again) for run in runs)
        yield (
            f"In {count} of them, claims that changed afterwards were run again on the same seeds, "
            f"at {', '.join(sorted({*found.values()}))}: {', '.join(sorted(found))}."
        )


def _innocent(runs: Sequence[Run]) -> Iterator[str]:
    yield from ["## Innocent changes: r of every arm", ""]
    table = rates.envelopes(runs)
    top = rates.largest(table)
    if top is None:
        yield "Not measured: no run judged an arm."
        return
    r, (claim, arm), name = top
    count = sum(len(row) for row in table.values())
    yield (
        f"r is the largest distance to the recorded losses in rounding envelopes; {FACTOR:g} is "
        f"the limit. The largest of {count} is **{r:.2f}**: {arm} of {claim}, {name}. A dash: not "
        "judged, since the loss stands still, the start is another, or the claim changed and was "
        "not run again under this change."
    )
    yield ""
    names = sorted({name for row in table.values() for name in row}, key=_place)
    rows = [
        [claim, arm, *(rates.rounded(row.get(name)) for name in names)]
        for (claim, arm), row in sorted(table.items())
    ]
    yield from _table(["claim", "arm", *names], rows)
    yield ""
    yield from _again(runs)
    yield from (f"- `{name}`: {_says(name, runs)}" for name in names)
    absent = [name for name in INNOCENT if name not in names]
    if absent:
        yield f"- not measured: {', '.join(absent)}"


def _says(name: str, runs: Sequence[Run]) -> str:
    """What was changed, and on which machine: of another torch or device, that alone."""
    machines = [
        run.machine if name in INNOCENT else f"{run.machine}, torch {run.torch}"
        for run in runs if run.name == name
    ]  # fmt: skip
    told = [INNOCENT[name].says] if name in INNOCENT else []
    return "; ".join(dict.fromkeys([*told, *machines]))


def _elsewhere(runs: Sequence[Run]) -> Iterator[str]:
    yield from ["## Another machine's record, judged by this one's envelopes", ""]
    if not runs:
        yield "Not measured: no other machine's evidence was given."
    for run in runs:
        found = sorted(
            ((r, claim, arm) for claim, arms in run.arms.items() for arm, r in arms.items() if r),
            reverse=True,
        )
        count = sum(r is not None for arms in run.arms.values() for r in arms.values())
        yield (
            f"Recorded on {run.machine}, torch {run.torch}, {run.date}: {count} arms were judged. "
            f"{len(found)} of them differ from ours at all, {sum(r > 1 for r, *_ in found)} by "
            f"more than one envelope and {sum(r > FACTOR for r, *_ in found)} by more than "
            f"{FACTOR:g}."
        )
        yield ""
        rows = [[claim, arm, rates.rounded(r)] for r, claim, arm in found[:FARTHEST]]
        yield from _table(["claim", "arm", "r"], rows)


def _place(name: str) -> tuple[int, str]:
    names = list(INNOCENT)
    return (names.index(name) if name in names else len(names), name)


def _power(
    runs: Sequence[Run], claims: Mapping[str, Sequence[str]], gone: Sequence[str]
) -> Iterator[str]:
    yield from ["## Power: the kill matrix", ""]
    found = rates.kills(runs)
    caught = [kills for kills in found.values() if kills.caught == kills.runs]
    survived = [kills.fault for kills in found.values() if not kills.caught]
    yield (
        f"{len(caught)} of {len(found)} faults that were run went red in every run, "
        f"{len(found) - len(caught) - len(survived)} in some, {len(survived)} in none. Of a share "
        "stands the lower 95 % bound. *By the record*: it is caught since an arm leaves its "
        "envelope or its recorded start, on the same listed seeds and by the same r whatever the "
        "salt, so that a bound would say nothing. Of measured claims no more is asked in such a "
        "run: what is red in it is red by its record, and limits may have caught more. Once "
        f"{REPEATS} runs have said which claims go red, the others end at the first that does."
    )
    yield from _again(runs)
    yield ""
    rows = [
        [f"`{name}`", _caught(kills), _victims(kills, claims[name])]
        for name, kills in found.items()
    ]
    yield from _table(["fault", "runs caught", "red by claim; bound to it in bold"], rows)
    yield ""
    yield from _words(runs)
    yield f"Survived every run: {_listed(survived)}."
    blind = [
        f"{name} for {claim}" for name, kills in found.items()
        for claim, (red, ran) in kills.by_claim.items() if claim in claims[name] and red < ran
    ]  # fmt: skip
    yield f"Bound to a claim that stayed green in a run: {', '.join(blind) or 'none'}."
    idle = [name for name in FAULTS if name not in found]
    yield f"Not run because no claim is bound to them: {_listed(n for n in idle if not claims[n])}."
    needy = [name for name in idle if claims[name] and FAULTS[name].needs_accelerator]
    yield f"Not run because they need an accelerator: {_listed(needy)}."
    left = [name for name in idle if claims[name] and name not in needy]
    yield f"Not run yet: {_listed(left)}."
    if gone:
        yield f"Left out, since there is no fault of that name any more: {_listed(gone)}."


def _caught(kills: rates.Kills) -> str:
    """The share of runs, with its bound where runs are drawn anew."""
    if kills.certain:
        return f"{kills.caught}/{kills.runs} by the record"
    return rates.share(kills.caught, kills.runs)


def _words(runs: Sequence[Run]) -> Iterator[str]:
    """What the first red run of each fault said: a kill for another reason is a false alarm."""
    yield from [
        "What the first red run of each said, so that a kill can be told from an accident:",
        "",
    ]
    told: set[str] = set()
    for run in runs:
        if run.red and run.name not in told:
            told.add(run.name)
            claim = run.red[0]
            yield f"- `{run.name}`, {claim}: {run.why.get(claim, 'no reason was kept')}"
    yield ""


def _victims(kills: rates.Kills, bound_to: Sequence[str]) -> str:
    return ", ".join(
        f"**{claim}** {red}/{ran}" if claim in bound_to else f"{claim} {red}/{ran}"
        for claim, (red, ran) in kills.by_claim.items()
    )


def _left(runs: Sequence[Run]) -> Iterator[str]:
    yield from ["## Faults: r of the arms they reach", ""]
    rows = []
    for name in sorted({run.name for run in runs}):
        table = rates.envelopes(run for run in runs if run.name == name)
        judged = sorted(r for row in table.values() for r in row.values() if r is not None)
        beyond = sum(r > FACTOR for r in judged)
        if judged:
            ends = [rates.rounded(judged[0]), rates.rounded(judged[-1])]
            rows.append(
                [f"`{name}`", f"{beyond} of {len(judged)}", *ends, len(table) - len(judged)]
            )
    head = ["fault", f"arms beyond {FACTOR:g}", "smallest r", "largest r", "arms not judged"]
    yield from _table(head, rows)


def _gains(found: Sequence[rates.Gain]) -> Iterator[str]:
    yield from ["## Paired gains: false alarms in draws from their recordings", ""]
    if not found:
        yield "Not measured: no gain is recorded."
        return
    yield (
        f"{rates.SPLITS} draws of {decisions.SEEDS['measured']} recorded pairs each, without "
        "replacement. A run is red where neither of its two stages shows the gain. Of "
        f"{len(found)} gains these may miss it, and all together turn "
        f"{sum(gain.alarms for gain in found):.2%} of runs red with nothing changed; the others "
        "have every recorded pair ahead."
    )
    yield ""
    rows = [
        [x.claim, x.probe, f"{x.behind} of {x.recorded}", f"{x.missed:.2%}", f"{x.alarms:.3%}"]
        for x in found if x.behind
    ]  # fmt: skip
    yield from _table(["claim", "probe", "pairs behind", "stages", "runs"], rows)


def _distributions(samples: Iterable[rates.Sample], registered: int) -> Iterator[str]:
    yield from ["## Distributions: false alarms in split halves, detectable shift", ""]
    now = decisions.SEEDS["measured"]
    found = [rates.sensitivity(s, registered, now) for s in samples]
    if not found:
        yield "Not measured: no evidence with enough seeds."
        return
    yield (
        f"{rates.SPLITS} splits of each recording, {now} seeds against the others, at the rate "
        f"of one stage, {found[0].nominal:.2%}; the splits share their values, so they are no "
        "independent trials. The gate's own test also allows what is below a tenth of the way from "
        "treated to control. The shift is what both stages see in 95 % of runs, in recorded "
        "standard deviations and on the scale of the test."
    )
    yield ""
    rows = [
        [
            x.sample.claim, x.sample.probe, x.sample.arm.split(" | ")[1],
            len(x.sample.scale.values), x.sample.scale.name,
            f"{x.alarms_without_delta / rates.SPLITS:.2%}", f"{x.alarms / rates.SPLITS:.2%}",
            *_shift(x),
        ]
        for x in found
    ]  # fmt: skip
    head = ["claim", "probe", "arm", "N", "scale", "alarms", "with a tenth allowed", "shift"]
    yield from _table([*head, "on its scale"], rows)


def _shift(found: rates.Sensitivity) -> tuple[str, str]:
    if found.shift is None or found.shift_measured is None:
        return "none is seen", "-"
    return f"{found.shift:.2f} s", f"{found.shift_measured:.3g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
