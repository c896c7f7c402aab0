"""Decisions and their error rates, distributions and speed ratios, on top of scipy.stats."""
