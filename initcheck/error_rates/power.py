"""Power for OPERATING.md: which seeded faults the gate caught, and by what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from initcheck.baselines.limits import LimitEntry
from initcheck.envelope.compare import FACTOR
from initcheck.error_rates import rates
from initcheck.error_rates.runs import Run
from initcheck.faults import FAULTS

Row = Sequence[object]
Limits = Mapping[str, Mapping[str, LimitEntry]]


@dataclass(frozen=True)
class Power:
    """How many of the seeded faults the gate caught. A run catches a fault if a claim is red.

    Attributes:
        runs: of all faults together.
        always, sometimes: how many faults every run caught, and how many only some runs.
        never: names of the faults that no run caught.
        rows: table rows: fault, runs that caught it, share caught by a limit, runs caught by the
            record alone, red claims with their counts.
        claims: table rows: claim, kind, faults that refuted it by its limit, faults that its record
            alone noticed.
        spared: exact claims and theorems that ran under a fault and that none refuted by its limit.
        first_reports: per fault, the first red claim of its first red run, with the reason.
        green: faults for which a claim that names them stayed green in some run.
        unbound, need_accelerator, waiting: faults without runs: no claim names them, the machine
            has no accelerator, or their turn has not come.
    """

    runs: int
    always: int
    sometimes: int
    never: Sequence[str]
    rows: Sequence[Row]
    claims: Sequence[Row]
    spared: Sequence[str]
    first_reports: Sequence[tuple[str, str, str]]
    green: Sequence[str]
    unbound: Sequence[str]
    need_accelerator: Sequence[str]
    waiting: Sequence[str]


def of(runs: Sequence[Run], claims: Mapping[str, Sequence[str]], limits: Limits) -> Power:
    """What these runs of faults show; ``claims`` are those bound to each fault."""
    kills = rates.kills(runs)
    always = sum(kill.caught == kill.runs for kill in kills.values())
    never = [name for name, kill in kills.items() if not kill.caught]
    idle = [name for name in FAULTS if name not in kills]
    needy = [name for name in idle if claims[name] and FAULTS[name].needs_accelerator]
    by_claim = [_claim(claim, limits[claim], kills) for claim in sorted(limits)]
    return Power(
        len(runs), always, len(kills) - always - len(never), never,
        rows=[_row(kill, claims[name]) for name, kill in kills.items()],
        claims=[row for row in by_claim if row[2] or row[3]],
        spared=_spared(limits, kills),
        first_reports=_first_reports(runs),
        green=[
            f"{name} for {claim}" for name, kill in kills.items()
            for claim, (red, ran) in kill.by_claim.items() if claim in claims[name] and red < ran
        ],
        unbound=[name for name in idle if not claims[name]],
        need_accelerator=needy,
        waiting=[name for name in idle if claims[name] and name not in needy],
    )  # fmt: skip


def moved(runs: Sequence[Run]) -> list[Row]:
    """How far each fault moves the arms, by losses and tensors and by losses alone.

    Fault, arms beyond the limit, smallest r, the same two of losses alone, largest r, and arms that
    were not judged.
    """
    rows: list[Row] = []
    for name in sorted({run.name for run in runs}):
        of_fault = [run for run in runs if run.name == name]
        judged, of_losses = (
            sorted(r for row in table.values() for r in row.values() if r is not None)
            for table in (
                rates.envelopes(of_fault), rates.envelopes(of_fault, losses_alone=True)
            )
        )  # fmt: skip
        if judged:
            arms = len(rates.envelopes(of_fault))
            rows.append(
                [f"`{name}`", *_beyond(judged), *_beyond(of_losses), rates.rounded(judged[-1]),
                 arms - len(judged)]
            )  # fmt: skip
    return rows


def _beyond(judged: Sequence[float]) -> Row:
    """Of the sorted distances, how many are beyond the limit, and the smallest."""
    if not judged:
        return ["-", "-"]
    return [f"{sum(r > FACTOR for r in judged)} of {len(judged)}", rates.rounded(judged[0])]


def _row(kill: rates.Kills, bound_to: Sequence[str]) -> Row:
    red = ", ".join(
        f"**{claim}** {red}/{ran}" if claim in bound_to else f"{claim} {red}/{ran}"
        for claim, (red, ran) in kill.by_claim.items()
    )
    by_limit = rates.share(kill.by_limit, kill.runs)
    return [f"`{kill.fault}`", f"{kill.caught}/{kill.runs}", by_limit, kill.by_record, red]


def _claim(claim: str, entries: Mapping[str, LimitEntry], kills: Mapping[str, rates.Kills]) -> Row:
    """The claim, its kind, the faults that refuted it by its limit, and those it drifted under."""
    by_limit, by_record = [], []
    for name, kill in kills.items():
        parts = kill.parts.get(claim, {})
        whole, refuted = sum(parts.values()), parts.get("refuted", 0)
        if refuted:
            by_limit.append(f"`{name}`" if refuted == whole else f"`{name}` ({refuted} of {whole})")
        elif parts.get("drifted"):
            by_record.append(f"`{name}`")
    kinds = ", ".join(sorted({entry.kind for entry in entries.values()}))
    return [claim, kinds, ", ".join(by_limit), ", ".join(by_record)]


def _spared(limits: Limits, kills: Mapping[str, rates.Kills]) -> list[str]:
    """Exact claims and theorems that ran under a fault, none of which refuted them."""
    ran = {claim for kill in kills.values() for claim in kill.parts}
    refuted = {
        claim for kill in kills.values() for claim, parts in kill.parts.items()
        if parts.get("refuted")
    }  # fmt: skip
    proved = {
        claim for claim, entries in limits.items()
        if {entry.kind for entry in entries.values()} & {"exact", "theorem"}
    }  # fmt: skip
    return sorted((proved & ran) - refuted)


def _first_reports(runs: Iterable[Run]) -> list[tuple[str, str, str]]:
    first: dict[str, Run] = {}
    for run in runs:
        if run.red:
            first.setdefault(run.name, run)
    return [
        (name, run.red[0], run.why.get(run.red[0], "no reason was kept"))
        for name, run in first.items()
    ]
