"""What it costs a foreign project that this package is installed: fresh processes in turns."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.peers.names import IMPORT, PYTHON, WITH, WITHOUT

ROOT = Path(__file__).parents[2]
FOREIGN = "import sys\n\n\ndef test_nothing():\n    assert 'torch' not in sys.modules\n"
IMPORTED = "import sys, initcheck; sys.exit('torch' in sys.modules)"
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
WAYS = {
    PYTHON: ("-c", "pass"),
    IMPORT: ("-c", IMPORTED),
    WITHOUT: (*PYTEST, "-p", "no:initcheck"),
    WITH: PYTEST,
}


def measure(rounds):
    """``{way: [seconds, one a round]}``; each fails if torch was imported.

    Raises:
        subprocess.CalledProcessError: torch was imported, or nothing ran.
    """
    seconds = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as foreign:
        Path(foreign, "test_foreign.py").write_text(FOREIGN, encoding="utf-8")
        for turn in range(rounds + 1):  # the first fills the caches of files and bytecode
            for way, arguments in WAYS.items():
                took = _run(arguments, foreign)
                if turn:
                    seconds[way].append(took)
    return seconds


def _run(arguments, where):
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], cwd=where, check=True, stdout=subprocess.DEVNULL,
        env=variables(),
    )  # fmt: skip
    return time.perf_counter() - began


def variables():
    """The environment of a process that is timed, with this checkout to import."""
    found = {**os.environ, "PYTHONPATH": str(ROOT)}
    found.pop("PYTHONDONTWRITEBYTECODE", None)  # else every round compiles what it imports
    return found
