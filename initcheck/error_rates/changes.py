"""Runs pytest under one innocent change: ``python -m initcheck.error_rates.changes NAME …``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from initcheck.faults.innocent import INNOCENT


def main(arguments: Sequence[str]) -> int:
    """Run pytest under one change and return its exit code.

    ``arguments`` are the name of the change, then pytest's arguments.
    """
    name, *rest = arguments
    # initcheck is imported before pytest can rewrite its assertions; it has none.
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    with INNOCENT[name].apply():
        return int(pytest.main([*quiet, *rest]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
