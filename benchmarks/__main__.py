"""`python3 -m benchmarks` sets up what is missing, then runs the gate."""

import sys

from benchmarks.bootstrap import run_pytest

# Claims don't use hypothesis, whose plugin would import it at the end of the run: 1.2 s of 60.
WITHOUT = ["-p", "no:hypothesispytest"]

sys.exit(run_pytest("benchmarks", [*WITHOUT, *sys.argv[1:]]))
