"""`python3 -m benchmarks` sets up what is missing, then runs the gate."""

import sys

from benchmarks.bootstrap import run_pytest

sys.exit(run_pytest("benchmarks", sys.argv[1:]))
