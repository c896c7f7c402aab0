"""Progress while arms train: a few words after pytest's own line, and nothing in a log."""

from __future__ import annotations

import shutil
import sys
import time
from threading import Lock

import pytest

TAKEN = 50  # columns that pytest's own line may need, so that ours does not wrap
SAVE, RESTORE, ERASE = (
    "\x1b7",
    "\x1b8",
    "\x1b[K",
)  # save and restore the cursor; erase to the end of the line
EVERY = 0.2  # seconds between two updates: each suspends pytest's capture


class Progress:
    """Called by the laboratory with an arm's name, replica-steps done and replica-steps in all."""

    def __init__(self, config: pytest.Config) -> None:
        self._reporter: pytest.TerminalReporter | None = config.pluginmanager.get_plugin(
            "terminalreporter"
        )
        self._capture = config.pluginmanager.get_plugin("capturemanager")
        self._lock = Lock()  # the chunks of an arm report from several threads
        self._last = 0.0
        self._shown = False

    @property
    def wanted(self) -> bool:
        """Whether the output is a terminal and pytest is not quiet."""
        reporter = self._reporter
        return reporter is not None and bool(reporter.isatty) and reporter.verbosity >= 0

    def __call__(self, arm: str, done: int, total: int) -> None:
        """Show how far the arm is, unless the last update was a moment ago."""
        with self._lock:
            if self.wanted and time.monotonic() - self._last >= EVERY:
                self._last = time.monotonic()
                self._write(f"{done / max(total, 1):.0%} of {total} steps of {arm}")

    def clear(self) -> None:
        """Erase the text before pytest writes its own line."""
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
