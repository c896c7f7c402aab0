"""Verdicts in their one order, the results of a run as typed values, and the JSON file of them."""

from initcheck.results.file import ResultsError, read, write
from initcheck.results.plain import from_plain, to_plain
from initcheck.results.run import SCHEMA, Environment, NotJudged, Run, Settings
from initcheck.results.types import (
    ARMS,
    ENVELOPE_LIMIT,
    GAIN_P,
    LACKING,
    ORDER,
    SIDES,
    ClaimResult,
    Comparison,
    Drift,
    DriftVerdict,
    Form,
    Kind,
    Verdict,
    confirmed,
    worst,
)

__all__ = [
    "ARMS",
    "ENVELOPE_LIMIT",
    "GAIN_P",
    "LACKING",
    "ORDER",
    "SCHEMA",
    "SIDES",
    "ClaimResult",
    "Comparison",
    "Drift",
    "DriftVerdict",
    "Environment",
    "Form",
    "Kind",
    "NotJudged",
    "ResultsError",
    "Run",
    "Settings",
    "Verdict",
    "confirmed",
    "from_plain",
    "read",
    "to_plain",
    "worst",
    "write",
]
