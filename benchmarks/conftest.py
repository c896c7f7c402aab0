"""What several files of claims share."""

import pytest


@pytest.fixture
def full_scale(initcheck_session):
    """Skip, at brief scale, what takes minutes an arm; the run says how to ask for it."""
    if initcheck_session.settings.scale != "full":
        pytest.skip("runs at full scale only: --initcheck-scale full --initcheck-data-root DIR")
