"""Fixtures that several files of claims share, and a faster start and end."""

import gc

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection():
    """Leave what start-up loads to itself: searching it for garbage takes .8 s and finds little.

    The modules of torch and its compiler, the evidence of all claims and their arms stay until the
    end.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_unconfigure():
    """Spare the exit of Python the same search."""
    gc.freeze()


@pytest.fixture
def full_scale(initcheck_session):
    """Skips a claim that runs at full scale only, unless full scale is selected."""
    if initcheck_session.settings.scale != "full":
        # Whole epochs on data that is not embedded, or networks as wide as the notebooks'.
        pytest.skip("runs at full scale only: --initcheck-scale full")
