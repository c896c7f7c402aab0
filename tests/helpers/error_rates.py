"""Runs of the gate and the limits that they are of, for the tests of error rates."""

from __future__ import annotations

from initcheck.error_rates.runs import Run

LIMITS = """
[sun_rises.accuracy]
min = 0.5
unit = "share"
kind = "measured"
why = "it always did"
fault = "leaky_relu"
"""
ABOUT = {"commit": "abc", "torch": "2.14.1", "machine": "an abacus", "date": "2026-11-22"}


def run(kind, name, salt="", **results):
    return Run(kind, name, salt, **ABOUT, **results)


def baselines_in(folder):
    """One limit, and no evidence."""
    (folder / "limits.toml").write_text(LIMITS)
    return folder
