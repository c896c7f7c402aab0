"""Judges claims: compares arms, trains them, and says whether they hold and still train as recorded."""
