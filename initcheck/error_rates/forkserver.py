"""Runs pytest in a process forked from one that has imported everything already.

Importing and reading every evidence file takes longer than catching most faults. The fork server
itself trains nothing, so every run starts in the same state.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from initcheck.error_rates.ways import NOT_INHERITED

MODULES = ["initcheck.error_rates.preload"]
TIMED_OUT = 124  # stands for an exit code, as in the command timeout


def possible() -> bool:
    """Whether this platform can fork processes safely."""
    return sys.platform == "linux" and "forkserver" in multiprocessing.get_all_start_methods()


def run(arguments: Sequence[str], *, seconds: float) -> tuple[str, int]:
    """The output of pytest with these arguments, and its exit code.

    A run that takes longer than ``seconds`` is stopped, and has the exit code ``TIMED_OUT``.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "output.txt"
        process = context.Process(target=_gate, args=(list(arguments), str(log)))
        process.start()
        process.join(seconds)
        late = process.is_alive()
        if late:
            process.terminate()
            process.join()
        output = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return output, TIMED_OUT if late else int(process.exitcode or 0)


def _gate(arguments: list[str], log: str) -> None:
    import pytest  # noqa: PLC0415 -- only in the forked process

    for name in [name for name in os.environ if name.startswith(NOT_INHERITED)]:
        del os.environ[name]
    with Path(log).open("w", encoding="utf-8") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # everything is imported already
    sys.exit(int(pytest.main([*quiet, *arguments])))
