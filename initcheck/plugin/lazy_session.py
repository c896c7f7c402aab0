"""The session of a pytest run, opened when it is first needed: from then on torch is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from initcheck.plugin.options import Settings

if TYPE_CHECKING:
    from initcheck.plugin.session import Session

SESSION = pytest.StashKey["Session"]()


def opened(config: pytest.Config) -> Session | None:
    """The session, or None if nothing has needed one."""
    return config.stash.get(SESSION, None)


def open_session(config: pytest.Config, settings: Settings | None = None) -> Session:
    """The session, opened now if it is not open yet.

    Raises:
        pytest.UsageError: see ``Session.open``.
    """
    if SESSION not in config.stash:
        from initcheck.plugin.session import Session

        config.stash[SESSION] = Session.open(settings or Settings.of(config), config)
    return config.stash[SESSION]
