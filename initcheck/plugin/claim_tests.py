"""Refuses tests that are marked as claims and that the plugin could not judge."""

from __future__ import annotations

import sys
import unittest
from collections.abc import Sequence

import pytest

from initcheck.claims import KINDS, MARKER, file_of, statement_of

FIELDS = {"source", "kind", "seeds"}
NO_DOCSTRINGS = 2  # sys.flags.optimize of `python -OO`


def refuse_no_claims(items: Sequence[pytest.Item]) -> None:
    """Refuse the first of these tests that cannot be a claim.

    Raises:
        pytest.UsageError: the message is a sentence that names the test.
    """
    for item in items:
        problem = _problem(item)
        if problem:
            raise pytest.UsageError(f"{file_of(item)}: the claim {item.name} {problem}")


def _problem(item: pytest.Item) -> str:
    case = getattr(item, "cls", None)
    if not isinstance(item, pytest.Function) or (case and issubclass(case, unittest.TestCase)):
        return (
            "is no test that can be judged: a method of a unittest.TestCase takes no fixture "
            "'verdict'. Make it a function."
        )
    marker = item.get_closest_marker(MARKER)
    about = marker.kwargs if marker else {}
    if set(about) != FIELDS or about["kind"] not in KINDS or not isinstance(about["source"], str):
        given = ", ".join(f"{name}={value!r}" for name, value in about.items()) or "nothing"
        return (
            f"is marked with {given}. It needs a source, which is a text, and a kind, which is one "
            f"of {', '.join(KINDS)}. Use the decorator initcheck.claim."
        )
    if not statement_of(item.function)[0] and sys.flags.optimize >= NO_DOCSTRINGS:
        return (
            "has lost its docstring, which is the claim's statement, because Python runs with -OO "
            "or PYTHONOPTIMIZE=2. Run it without."
        )
    return ""
