"""Adds pictures of the judged mechanisms to a run: trains what they need, after all claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from initcheck.gate.pictured import Source
from initcheck.gate.pictures import pictures
from initcheck.results import INTERRUPTED, ClaimResult, Run

if TYPE_CHECKING:
    from initcheck.plugin.session import Session

OURS = ("benchmarks", "initcheck_benchmarks")  # the folder of the claims that have pictures


def with_pictures(session: Session, run: Run) -> Run:
    """The run with the pictures of the mechanisms of which a claim was judged.

    They are trained with the session's settings, so under a seeded fault they show the faulty run.
    A run that was interrupted gets none.
    """
    ours = [result for result in run.results if _folder(result) in OURS]
    if not ours or run.exit_status == INTERRUPTED:
        return run
    source = Source(
        laboratory=session.laboratory, device=_device(session.devices, ours),
        baselines=session.baselines, salt=session.settings.salt,
    )  # fmt: skip
    try:
        with session.laboratory.profile.spent("pictures"):
            drawn = pictures(source, {result.mechanism for result in ours})
    finally:
        session.progress.clear()
    return replace(run, pictures=drawn)


def _folder(result: ClaimResult) -> str:
    return Path(result.node.partition("::")[0]).resolve().parent.name


def _device(names: Sequence[str], results: Sequence[ClaimResult]) -> str:
    """The first accelerator on which a claim was judged, or else the CPU."""
    judged = {result.device for result in results}
    return next((name for name in names if name in judged and name != "cpu"), "cpu")
