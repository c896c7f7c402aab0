"""Times what the installed plugin costs a project that does not use it, in fresh processes."""

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
PROCESSES = {
    PYTHON: ("-c", "pass"),
    IMPORT: ("-c", IMPORTED),
    WITHOUT: (*PYTEST, "-p", "no:initcheck"),
    WITH: PYTEST,
}


def measure(rounds):
    """``{name: [seconds, one per round]}``.

    Raises:
        subprocess.CalledProcessError: a process failed, for example because torch was imported.
    """
    seconds = {name: [] for name in PROCESSES}
    with tempfile.TemporaryDirectory() as foreign:
        Path(foreign, "test_foreign.py").write_text(FOREIGN, encoding="utf-8")
        for turn in range(rounds + 1):  # the first fills the caches of files and bytecode
            for name, arguments in PROCESSES.items():
                took = _run(arguments, foreign)
                if turn:
                    seconds[name].append(took)
    return seconds


def _run(arguments, folder):
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL,
        env=variables(),
    )  # fmt: skip
    return time.perf_counter() - began


def variables():
    """The environment of a timed process, which imports this checkout."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or every round would compile its imports
    return environment
