"""Trains the arms of claims, judges whether claims hold and training is as recorded."""
