"""Sentences on what a run did not do: skipped and failed tests, requests without effect."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence

import pytest


def skipped(reasons: Sequence[str]) -> list[str]:
    """How many claims were skipped, a sentence per reason."""
    from initcheck.report import formatting

    return [
        f"{formatting.counted(number, 'claim')} skipped: {why or 'no reason was given'}"
        for why, number in Counter(reasons).items()
    ]


def reason(text: str) -> str:
    """What pytest's text says after the word Skipped, if it says more."""
    return text.removeprefix("Skipped").removeprefix(":").strip()


def why_failed(report: pytest.TestReport) -> str:
    """Why a test failed before it could be judged, in one line."""
    message = getattr(getattr(report.longrepr, "reprcrash", None), "message", None)
    lines = str(message or report.longrepr).strip().splitlines() or ["it failed without a reason"]
    where = "its fixture failed: " if report.when in ("setup", "teardown") else ""
    return f"{where}{lines[0][:200] if message else lines[-1][:200]}"


def without_effect(
    options: argparse.Namespace, *, judges: bool, tries_init: bool, trains: bool
) -> list[str]:
    """Sentences on what the command line requested and no test of this run could do.

    Variables and ini files do not count: a run of other tests merely inherits them.

    Args:
        options: of the command line.
        judges: whether this run found claims.
        tries_init: whether one of its tests uses ``initcheck_init``.
        trains: whether one of its tests called ``unchanged``.
    """
    requested = {
        name: getattr(options, f"initcheck_{name}")
        for name in ("json", "html", "record", "fault", "init")
    }
    if options.initcheck_model is not None:  # these are of the inspection then
        requested |= {"json": None, "html": None}
        if options.initcheck_start is not None:
            requested["record"] = None
    if trains:
        requested |= {"json": None, "html": None, "record": None}
    sentences = [
        f"--initcheck-{name} {requested[name]}: no claim ran, so it had no effect. "
        "Name a path with claims, as in `pytest benchmarks`, or leave the option out."
        for name in ("json", "html", "record", "fault")
        if requested[name] is not None and not judges
    ]
    if requested["init"] and not tries_init:
        sentences.append(
            f"--initcheck-init {' '.join(requested['init'])}: no selected test uses an "
            "initializer, so none was tried. Name a path with conformance claims, as in "
            "`pytest benchmarks/test_conformance.py`, or leave the option out."
        )
    return sentences
