"""Sentences below the table of a run: what it did not judge, and what its options did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from initcheck import faults
from initcheck.plugin.known import NAME
from initcheck.plugin.session import Session
from initcheck.report import formatting
from initcheck.results import ClaimResult

DRIFT_NOTES = {
    "no evidence": "no evidence yet, so only their limits were judged",
    "stale": "stale evidence, treated as missing; record it again",
    "other start": (
        "the starts differ from those under the recorded torch, so no trajectory could be "
        "compared; outcomes were, if 64 of them are recorded"
    ),
}


def closing_notes(
    session: Session, results: Sequence[ClaimResult], recorded: Sequence[str]
) -> list[str]:
    """Sentences below the table; ``recorded`` are the claims whose evidence was written."""
    settings = session.settings
    notes = [
        f"{name} was requested, but no claim ran on it: all were skipped or deselected, so this "
        "run is not green. Widen the selection, or leave the device out."
        for name in session.devices_without_claims(results)
    ]
    for result in results:
        if result.known and not result.fails:
            notes.append(f"known failure: {result.id} is {result.verdict}. {result.known}")
        elif result.known:
            notes.append(
                f"{result.id} passes, but {NAME} lists it as a known failure. Remove its entry."
            )
    for state, words in DRIFT_NOTES.items():
        names = dict.fromkeys(r.id for r in results if _has_drift(r, state))
        if names:
            notes.append(f"{words}: {', '.join(names)}")
    if settings.record is not None:
        notes.append(
            f"Evidence of {formatting.counted(len(recorded), 'claim')} was written below "
            f"{session.baselines.folder / 'evidence'}; a run that records does not pass. Review "
            "the difference, then run again without --initcheck-record."
        )
    if settings.judge != "all":
        notes.append(
            f"Only a part was judged (--initcheck-judge {settings.judge}): a green run says less "
            "than one without that option."
        )
    if settings.profile:
        notes += session.laboratory.profile.lines()
    if settings.fault is not None:
        notes.append(_fate(settings.fault, faults.bound(session.baselines.limits), results))
    return notes


def _has_drift(result: ClaimResult, state: str) -> bool:
    return any(drift.verdict == state for probe in result.probes for drift in probe.drift.values())


def _fate(fault: str, bound: dict[str, Any], results: Sequence[ClaimResult]) -> str:
    """Which claims caught a seeded fault, and which should have."""
    red = dict.fromkeys(r.claim for r in results if r.verdict != "pass")
    missed = [r.claim for r in results if r.claim in bound[fault] and r.claim not in red]
    if not red:
        return f"fault {fault} survived: no claim that ran went red."
    caught = f"fault {fault} was caught by {', '.join(red)}"
    return f"{caught}; bound to it but green: {', '.join(missed)}." if missed else f"{caught}."
