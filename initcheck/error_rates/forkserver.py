"""Runs pytest in a process forked from one that has imported everything already.

Importing and reading every evidence file takes longer than catching most faults. The fork server
itself trains nothing, so every run starts in the same state.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

MODULES = ["initcheck.error_rates.preload"]


def possible() -> bool:
    """Whether this platform can fork processes safely."""
    return sys.platform == "linux" and "forkserver" in multiprocessing.get_all_start_methods()


def run(arguments: Sequence[str], *, threads: int, seconds: float) -> tuple[str, int]:
    """The output of pytest with these arguments, and its exit code.

    Raises:
        subprocess.TimeoutExpired: the run took longer than ``seconds`` and was stopped.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "output.txt"
        process = context.Process(target=_gate, args=(list(arguments), threads, str(log)))
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.terminate()
            process.join()
            raise subprocess.TimeoutExpired(["pytest", *arguments], seconds)
        output = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return output, int(process.exitcode or 0)


def _gate(arguments: list[str], threads: int, log: str) -> None:
    import pytest  # noqa: PLC0415 -- only in the forked process
    import torch  # noqa: PLC0415 -- as above

    with Path(log).open("w", encoding="utf-8") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    torch.set_num_threads(threads)
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # everything is imported already
    sys.exit(int(pytest.main([*quiet, *arguments])))
