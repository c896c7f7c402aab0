"""The same training in what a user would use instead, side by side: ``nox -s peers``."""
