"""What the page shows of a claim in each run: all of it once, and what differs in further runs.

A result that is equal to one above it is named there. On a page of few results the others are shown
in full. On a page of many, the gravest one is, and the others have a line for each comparison and
why it is red, so that a page of several whole runs stays below 3 MB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from initcheck.report import failure, formatting, plots
from initcheck.results import (
    ENVELOPE_LIMIT,
    GAIN_P,
    ORDER,
    ClaimResult,
    Comparison,
    Drift,
    Settings,
)

SAID = {
    "left": "left its rounding envelope",
    "changed start": "starts from other values",
    "other start": "starts from other values, as another release of torch does",
    "alike": "all seeds are identical",
    "moved": "ends with other results",
}  # verdicts on one arm against its record, in words
FEW = 150  # results on a page, up to which all that differ are shown in full


@dataclass(frozen=True)
class Entry:
    """A claim's result, with the name and the settings of its run."""

    run: str
    result: ClaimResult
    settings: Settings

    @property
    def where(self) -> str:
        """The device, and the run if there are several."""
        return " · ".join(filter(None, [self.result.device, self.run]))


def shown(entries: Sequence[Entry], *, on_page: int) -> list[dict[str, Any]]:
    """One claim on all devices and in all runs, in this order; equal results are shown once.

    ``on_page`` is how many results the whole page has.
    """
    found: list[tuple[Entry, list[str]]] = []
    for entry in entries:
        same = next((names for first, names in found if _same(first.result, entry.result)), None)
        if same is None:
            found.append((entry, []))
        else:
            same.append(entry.where)
    gravest = max((entry for entry, _ in found), key=lambda e: ORDER.index(e.result.verdict))
    return [
        (_full(entry) if on_page <= FEW or entry is gravest else _brief(entry))
        | {"also": ", ".join(also)}
        for entry, also in found
    ]


def _same(one: ClaimResult, other: ClaimResult) -> bool:
    """Whether two results have equal verdicts, values and reasons; NaN is equal to NaN."""
    first, second = (
        repr(replace(result, id="", device="", seconds=0.0, message=_message(result)))
        for result in (one, other)
    )
    return first == second


def _full(entry: Entry) -> dict[str, Any]:
    result = entry.result
    return {
        "full": True,
        "head": f"{entry.where} · {result.seconds:.1f} s",
        "verdict": result.verdict,
        "message": _message(result),
        "probes": [_probe(probe, entry.settings.fault) for probe in result.probes],
        "reproduce": reproduce(entry),
        "steps": "\n".join(failure.next_steps(result, entry.settings)) if result.red else "",
    }


def _message(result: ClaimResult) -> str:
    """The error that stopped a claim; what a comparison says is shown with the comparison."""
    return "" if result.red or result.verdict == "pass" else result.message


def _brief(entry: Entry) -> dict[str, Any]:
    result = entry.result
    return {
        "full": False,
        "head": entry.where,
        "verdict": result.verdict,
        "message": _message(result),
        "probes": [
            {
                "verdict": probe.verdict if probe.verdict != result.verdict else "",
                "text": _line(probe),
                "because": _because(probe),
            }
            for probe in result.probes
        ],
    }


def _line(probe: Comparison) -> str:
    """A comparison in one line: both ranges, the limit, what decides, and r of both arms."""
    arms = [f"{side} {formatting.arm(probe, side)}" for side in ("treated", "control")]
    parts = [*arms, f"limit {formatting.limit(probe)}", margin(probe)]
    r = f"r {formatting.ratios(probe)}" if probe.drift else ""
    return f"{probe.title}: {', '.join(filter(None, [*parts, r]))}"


def _because(probe: Comparison) -> str:
    return "" if probe.verdict == "pass" else formatting.sentences(probe.reason)


def reproduce(entry: Entry) -> str:
    """The command that runs the claim again, in one line."""
    return formatting.command(formatting.reproduce(entry.result, entry.settings))[0]


def _probe(probe: Comparison, seeded: str | None) -> dict[str, Any]:
    return {
        "title": probe.title,
        "verdict": probe.verdict,
        "margin": margin(probe),
        "strip": plots.of_comparison(probe),
        "because": _because(probe),
        "why": probe.why,
        "fault": _must_catch(probe.fault, seeded),
        "drifts": [f"{side}: {_drift(drift)}" for side, drift in formatting.drifts(probe)],
    }


def _must_catch(fault: str, seeded: str | None) -> str:
    """The fault that a limit must catch; under a seeded fault also whether it is that one."""
    if not fault or not seeded:
        return fault
    return f"{fault} ({'seeded in this run' if fault == seeded else 'another one is seeded'})"


def margin(probe: Comparison) -> str:
    """The number that decides, with its unit."""
    if probe.form == "gains":
        p = probe.p_value
        return "" if p is None else f"p = {formatting.number(p)}, at most {GAIN_P} shows a gain"
    text = formatting.margin(probe)
    if text == "-":
        return ""
    plain = probe.form == "holds" and probe.margin_unit == "units"
    return f"margin {text} {probe.unit if plain else ''}".rstrip().replace(" dec", " decades")


def _drift(drift: Drift) -> str:
    """An arm against its evidence: the verdict, then the envelope ratio and the shift."""
    text: str = SAID.get(drift.verdict, drift.verdict)
    if drift.r is not None:
        text += f", r = {formatting.number(drift.r)} of {ENVELOPE_LIMIT}"
        if drift.loss_r is not None and drift.loss_r != drift.r:
            text += f" ({formatting.number(drift.loss_r)} of its losses alone)"
    if drift.tensor is not None:
        away = formatting.number(drift.tensor_r)
        text += f", first outside at step {drift.first_step}: {drift.tensor} by {away}"
    if drift.note and drift.verdict != "changed start":  # it says no more than the verdict
        text += f", {drift.note}"
    if drift.shift is not None:
        text += f", mean {drift.shift:+.1f} standard deviations from its record"
    return f"{text} ({drift.environment})" if drift.environment else text
