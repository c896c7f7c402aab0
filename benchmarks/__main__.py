"""`python3 -m benchmarks` sets up what is missing, then runs the gate."""

import sys

from benchmarks.bootstrap import run_pytest

# Claims don't use hypothesis, whose plugin would import it at the end of the run: 1.2 s of 60.
options = ["-p", "no:hypothesispytest"]
# Tables of timings have more lines than the results that they follow. These words ask for them.
if not any(word.startswith(("-k", "-v", "--verbose", "--benchmark")) for word in sys.argv[1:]):
    options += ["--benchmark-quiet"]

sys.exit(run_pytest("benchmarks", [*options, *sys.argv[1:]]))
