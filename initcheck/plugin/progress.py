"""Progress while arms train: a few words behind pytest's own line; nothing in a log."""

from __future__ import annotations

import shutil
import sys
import time
from threading import Lock

import pytest

TAKEN = 50  # columns left to pytest's own line, so that ours does not wrap
SAVE, RESTORE, ERASE = "\x1b7", "\x1b8", "\x1b[K"  # the cursor's place; to the end of the line
EVERY = 0.2  # seconds between two writings: pytest's capture is lifted for each


class Progress:
    """Called by the laboratory with an arm's name, replica-steps done and replica-steps in all."""

    def __init__(self, config: pytest.Config) -> None:
        self._reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin(
            "terminalreporter"
        )
        self._capture = config.pluginmanager.get_plugin("capturemanager")
        self._lock = Lock()  # chunks of an arm report from threads of their own
        self._last = 0.0
        self._shown = False

    @property
    def wanted(self) -> bool:
        """Whether there is a terminal to write to, and a reader who did not ask for quiet."""
        reporter = self._reporter
        return reporter is not None and bool(reporter.isatty) and reporter.verbosity >= 0

    def __call__(self, arm: str, done: int, total: int) -> None:
        """Say how far the arm is, if the last time was long enough ago."""
        with self._lock:
            if self.wanted and time.monotonic() - self._last >= EVERY:
                self._last = time.monotonic()
                self._write(f"{done / max(total, 1):.0%} of {total} steps of {arm}")

    def clear(self) -> None:
        """Take the line away, before pytest writes its own."""
        with self._lock:
            if self._shown:
                self._write("")
                self._shown = False

    def _write(self, text: str) -> None:
        if self._capture is None:
            return
        room = max(0, shutil.get_terminal_size().columns - TAKEN)
        with self._capture.global_and_fixture_disabled():
            sys.stdout.write(f"{SAVE} {text[:room]}{ERASE}{RESTORE}")
            sys.stdout.flush()
        self._shown = True
