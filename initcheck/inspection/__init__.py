"""What is wrong with the start of any module: exact checks, without a tolerance."""

from initcheck.inspection.findings import Finding, Inspection, InspectionError
from initcheck.inspection.inspect import inspect_model

__all__ = ["Finding", "Inspection", "InspectionError", "inspect_model"]
