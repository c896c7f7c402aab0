"""Runs of the gate that need not start anew: forked from a process that has imported it all.

Imports and the reading of every evidence file take longer than most faults take to be caught. The
process that is forked trains nothing itself, so that every run begins alike.
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
    """Whether processes can be forked here and stay sound."""
    return sys.platform == "linux" and "forkserver" in multiprocessing.get_all_start_methods()


def run(arguments: Sequence[str], *, threads: int, seconds: float) -> tuple[str, int]:
    """What pytest said to these arguments, and its exit status.

    Raises:
        subprocess.TimeoutExpired: it took longer than these seconds, and was stopped.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(MODULES)
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said.txt"
        process = context.Process(target=_gate, args=(list(arguments), threads, str(said)))
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.terminate()
            process.join()
            raise subprocess.TimeoutExpired(["pytest", *arguments], seconds)
        words = said.read_text(encoding="utf-8", errors="replace") if said.exists() else ""
        return words, int(process.exitcode or 0)


def _gate(arguments: list[str], threads: int, said: str) -> None:
    import pytest  # noqa: PLC0415 -- in the process that runs it
    import torch  # noqa: PLC0415 -- as above

    with Path(said).open("w", encoding="utf-8") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    torch.set_num_threads(threads)
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # all is imported already
    sys.exit(int(pytest.main([*quiet, *arguments])))
