"""Writes the results of a run for a terminal, a pull request and a browser."""
