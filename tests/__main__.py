"""`python3 -m tests`: set up what is missing, then test the package on all cores."""

import sys

from benchmarks.bootstrap import run_pytest

# Each worker needs 1 to 2 GB. `-n 0` among the arguments, or `--pdb`, gives one process again.
PARALLEL = ["-n", "auto", "--maxprocesses", "8", "--dist", "worksteal"]

sys.exit(run_pytest("tests", [*PARALLEL, *sys.argv[1:]]))
