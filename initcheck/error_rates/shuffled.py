"""A pytest plugin, loaded by ``-p``: runs the collected tests in an order drawn from a seed.

It uses pytest's public hook alone, so that the gate meets another order and nothing else.
"""

from __future__ import annotations

import random

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--shuffle-seed``."""
    parser.addoption("--shuffle-seed", type=int, help="run the tests in an order drawn from N")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle the tests; every worker of pytest-xdist gets the same order, as it demands."""
    seed = config.getoption("shuffle_seed")
    if seed is not None:
        random.Random(seed).shuffle(items)  # noqa: S311 -- an order, not a secret
