"""The same training in other tools, timed in turns: ``nox -s peers``."""
