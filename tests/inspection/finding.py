"""What a test of faults demands of an inspection."""

from __future__ import annotations

from initcheck import inspect_model
from tests.inspection.faulty import rows


def demand(build, check, severity, parameter):
    """A fault is found by its check, with its severity, and the finding names its parameter."""
    inspection = inspect_model(build, rows)
    named = [each for each in inspection.findings if parameter in each.parameters]
    assert (check, severity) in [(each.check, each.severity) for each in named], str(inspection)
