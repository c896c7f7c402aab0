"""Runs the claims of given names in pytest: ``python -m initcheck.cli.named NAMES -- OPTIONS``.

``initcheck.run`` starts it in a separate process, so that the caller's modules, random numbers
and flags stay as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress

import pytest

from initcheck.claims import Claim, CollectionError, id_of
from initcheck.cli import project
from initcheck.cli.arguments import MISSING
from initcheck.cli.explain import UnknownClaimError, find

SEPARATOR = "--"


def main(arguments: Sequence[str]) -> int:
    """Run pytest and return its exit code; 4 with a sentence if a name is unknown."""
    end = arguments.index(SEPARATOR)
    names, options = arguments[:end], arguments[end + 1 :]
    try:
        claims = matching(names)
    except (CollectionError, UnknownClaimError) as error:
        print(f"ERROR: {error}")
        return MISSING
    nodes = dict.fromkeys(claim.node for claim in claims)
    wanted = {claim.claim for claim in claims}
    quiet = ["-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    return int(pytest.main([*nodes, *quiet, *options], plugins=[_Only(wanted)]))


def matching(names: Sequence[str]) -> list[Claim]:
    """The claims of these names: of this project, or of initcheck where the project has none.

    Raises:
        CollectionError: see ``project.find``.
        UnknownClaimError: there is no claim of one of the names.
    """
    found = project.find()
    claims: list[Claim] = []
    for name in names:
        try:
            claims += find(name, found.claims)
        except UnknownClaimError:
            others: list[Claim] = []
            if found.ours:
                with suppress(UnknownClaimError, CollectionError):
                    others = find(name, project.packaged().claims)
            if not others:
                raise
            claims += others
    return claims


class _Only:
    """Deselects the tests with other parameters than those that were named."""

    def __init__(self, wanted: set[str]) -> None:
        self.wanted = wanted

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        others = [item for item in items if id_of(item) not in self.wanted]
        items[:] = [item for item in items if id_of(item) in self.wanted]
        config.hook.pytest_deselected(items=others)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
