"""Limits that people write and evidence that machines record."""
