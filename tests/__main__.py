"""`python3 -m tests`: set up what is missing, then test the package."""

import sys

from benchmarks.bootstrap import run_pytest

sys.exit(run_pytest("tests", sys.argv[1:]))
