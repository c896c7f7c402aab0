"""Fixtures that several files of claims share."""

import pytest


@pytest.fixture
def full_scale(initcheck_session):
    """Skips a claim that runs at full scale only, unless full scale is selected."""
    if initcheck_session.settings.scale != "full":
        # Whole epochs on data that is not embedded, or networks as wide as the notebooks'.
        pytest.skip("runs at full scale only: --initcheck-scale full")
