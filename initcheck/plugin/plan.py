"""Calls each claim's test before its turn, so that the arms of all claims are known at once."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from initcheck.gate.verdict import Verdict
from initcheck.plugin.options import Settings

# Fixtures that a test may use and still be called before its turn.
KNOWN_FIXTURES = (
    "request",
    "verdict",
    "initcheck_device",
    "initcheck_init",
    "initcheck_activation",
)


def call_before_its_turn(item: pytest.Item, verdict: Verdict) -> bool:
    """Call a claim's test, so that its comparisons are known; False if it must wait for its turn.

    It must if it needs more than its parameters. Any other fixture, even one that applies without
    being named, may skip the test or change a parameter. What the test raises is kept for its turn.
    """
    if not isinstance(item, pytest.Function) or item.cls is not None or _may_skip(item):
        return False
    if "verdict" not in item.fixturenames:  # it is called at its turn, and judges nothing
        return False
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    arguments = {"verdict": verdict, "initcheck_activation": _activation(item)} | parameters
    others = {*arguments}.difference(KNOWN_FIXTURES)
    if not set(item.fixturenames) <= {*arguments, *KNOWN_FIXTURES} or _has_fixture(item, others):
        return False
    names = item._fixtureinfo.argnames  # noqa: SLF001 -- no public name for a test's arguments
    verdict.called = True
    try:
        item.obj(**{name: arguments[name] for name in names})
    except (KeyboardInterrupt, pytest.exit.Exception):
        raise
    except BaseException as error:  # noqa: BLE001 -- a skip and SystemExit are none of Exception
        verdict.error = error
    return True


def _activation(item: pytest.Item) -> str:
    """What the fixture ``initcheck_activation`` returns."""
    return Settings.of(item.config).activation


def _has_fixture(item: pytest.Function, parameters: Iterable[str]) -> bool:
    """Whether a fixture computes what the test receives from a parameter."""
    manager = item.session._fixturemanager  # noqa: SLF001 -- no public name tells a value's origin
    return any(manager.getfixturedefs(name, item) for name in parameters)


def _may_skip(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in ("skip", "skipif", "usefixtures"))
