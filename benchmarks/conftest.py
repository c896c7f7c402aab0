"""What several files of claims share."""

import pytest


@pytest.fixture
def full_scale(initcheck_session):
    """Skip, at brief scale, what belongs to full scale alone."""
    if initcheck_session.settings.scale != "full":
        # whole epochs on data that are not embedded, and networks as wide as the notebooks' own
        pytest.skip("runs at full scale only: --initcheck-scale full --initcheck-data-root DIR")
