"""Runs that were recorded once: a good one, and three under a seeded fault each.

``runs.json`` has their results with pictures; paths are shortened, and under the second and third
fault only the pictures that it changes are kept.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from initcheck.results import Run
from initcheck.results.plain import run_from_plain


@cache
def _plain() -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(Path(__file__).with_name("runs.json").read_text("utf-8"))
    return whole


def good() -> Run:
    """All claims pass."""
    return run_from_plain(_plain()["good"])


def faulty() -> list[Run]:
    """A learning rate lower by a thousandth, identity for Hadamard, and zeros with noise."""
    return [run_from_plain(run) for run in _plain()["faulty"]]
