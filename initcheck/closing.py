"""What a run says at its end, in sentences: what did not run, was recorded or went unnoticed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from initcheck import faults
from initcheck.session import Session

Result = dict[str, Any]

SAID_OF = {
    "no evidence": "no evidence yet, so only their limits were judged",
    "stale": "stale evidence, treated as missing; record it again",
    "other start": (
        "arms that start elsewhere than under the recorded torch, so that no trajectory could be "
        "followed and outcomes alone were compared, where 64 of them are recorded"
    ),
}


def last_words(session: Session, results: Sequence[Result], recorded: Sequence[str]) -> list[str]:
    """All of them; ``recorded`` are the claims whose evidence was written."""
    settings = session.settings
    said = [
        f"{name} was demanded and no claim ran on it: all were skipped or deselected, so this "
        "run is not green. Widen the selection, or leave the device out."
        for name in session.idle(results)
    ]
    for state, words in SAID_OF.items():
        names = dict.fromkeys(r["id"] for r in results if _has_drift(r, state))
        if names:
            said.append(f"{words}: {', '.join(names)}")
    if settings.record is not None:
        said.append(
            f"Evidence of {len(recorded)} claims was written below "
            f"{session.baselines.folder / 'evidence'}; a run that records does not pass. Review "
            "the difference, then run again without --initcheck-record."
        )
    if settings.profile:
        said += session.laboratory.profile.lines()
    if settings.fault is not None:
        said.append(_fate(settings.fault, faults.bound(session.baselines.limits), results))
    return said


def _has_drift(result: Result, state: str) -> bool:
    return any(
        drift.get("verdict") == state
        for probe in result["probes"]
        for drift in (probe["drift"] or {}).values()
    )


def _fate(fault: str, bound: dict[str, Any], results: Sequence[Result]) -> str:
    """Who caught a seeded fault, and who should have."""
    red = dict.fromkeys(r["claim"] for r in results if r["verdict"] != "pass")
    blind = [r["claim"] for r in results if r["claim"] in bound[fault] and r["claim"] not in red]
    if not red:
        return f"fault {fault} survived: no claim that ran went red."
    said = f"fault {fault} was caught by {', '.join(red)}"
    return f"{said}; bound to it and still green: {', '.join(blind)}." if blind else f"{said}."
