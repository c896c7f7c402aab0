"""One line per stage of the set-up: its name while it runs, its seconds when it has ended.

In old syntax and with the standard library only, as `bootstrap.py`, which imports it.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import IO, Callable, Iterator, List, Sequence

TICK = 0.5  # seconds between two updates of the counter on a terminal
LAST = 12  # lines of pip's output that a failure shows: its error and the lines that lead to it
TAIL = 8000  # bytes of the log that are read for them
LONG = 160  # letters of such a line; pip repeats a whole chain of requirements in some
ERASE = "\r\033[K"

COLLECTED = re.compile("^Installing collected packages: (.*)", re.MULTILINE)  # in pip's log
# What says nothing about a failure: bars of progress, and indexes without a package.
NOISE = re.compile("^ *[\u2501\u2578\u257a]|^WARNING: Location .* is ignored")

# What pip prints, and what helps. The first pattern that matches counts.
ADVICE = {
    "No space left on device": "Free disk space: torch and what it needs take up to 7 GB.",
    "Temporary failure in name resolution|NewConnectionError|ConnectTimeout|ProxyError"
    "|Network is unreachable|Max retries exceeded": (
        "pip cannot reach its package index. Check the network, or name an index or a proxy that "
        "this machine reaches: `pip config set global.index-url URL`, or the variable HTTPS_PROXY."
    ),
    "No matching distribution found|Could not find a version": (
        "The package index has no such package for this Python. Run the same command with a Python "
        "for which torch has wheels, or name another index: `pip config set global.index-url URL`."
    ),
    "Permission denied": "Make the folder writable, or clone into a folder that is yours.",
}


# What the two commands do, for those who ask before anything is installed.
HELP = """usage: python3 -m {folder} [options of pytest]

{what}

Not all that this needs is installed. The next run without --help installs it in .venv in this
checkout: in minutes, and up to 7 GB. After that, --help lists all options.

Often used:
  -k NAME                    only what has this in its name, such as -k {name}
  -v                         show every result
{more}"""
FILES = (
    "  --initcheck-device DEVICE  a device that must compute, such as cpu or cuda\n"
    "  --initcheck-html FILE      write a page with pictures\n"
    "  --initcheck-json FILE      write results for machines\n"
    "docs/options.md describes all options.\n"
)
ABOUT = {
    "benchmarks": (
        "Runs the gate: judges every claim on every device of this machine that computes.",
        "he_beats_randn",
        FILES,
    ),
    "tests": ("Tests the package itself.", "pictures", ""),
}


def help_text(folder: str) -> str:
    """What ``python3 -m FOLDER --help`` prints before pytest is there to answer."""
    what, name, more = ABOUT.get(folder, ABOUT["tests"])
    return HELP.format(folder=folder, what=what, name=name, more=more)


class Stage:
    """A line such as ``initcheck: creating .venv: 3 s``; on a terminal the seconds count up."""

    def __init__(self, name: str, stream: "IO[str]") -> None:
        self._text = f"initcheck: {name}"
        self._stream = stream
        self._began = time.monotonic()
        self._live = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._write(self._text)

    def tick(self) -> None:
        """Show how many seconds have passed, on a terminal."""
        if self._live:
            self._write(f"{ERASE}{self._text}: {self._seconds()} s")

    def end(self, *, failed: bool = False) -> None:
        """Complete the line."""
        start = ERASE + self._text if self._live else ""
        self._write(f"{start}: {self._seconds()} s{', failed' if failed else ''}\n")

    def _seconds(self) -> int:
        return round(time.monotonic() - self._began)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


@contextmanager
def stage(name: str) -> "Iterator[Callable[[], None]]":
    """Show a stage while the block runs; gives the function that updates its seconds."""
    line = Stage(name, sys.stderr)
    failed = True
    try:
        yield line.tick
        failed = False
    finally:
        line.end(failed=failed)


@contextmanager
def pip_stages(packages: str, log: str) -> "Iterator[Callable[[], None]]":
    """Show a stage while pip downloads and one while it installs, as its log says.

    Gives the function that updates them.
    """
    lines = [Stage(f"downloading {packages}", sys.stderr)]

    def tick() -> None:
        count = 0 if len(lines) > 1 else collected(log)
        if count:
            lines[0].end()
            lines.append(Stage(f"installing {count} package{'s' * (count > 1)}", sys.stderr))
        lines[-1].tick()

    failed = True
    try:
        yield tick
        failed = False
    finally:
        tick()  # pip may have gone on since the last time
        lines[-1].end(failed=failed)


def collected(log: str) -> int:
    """How many packages pip has begun to install; 0 while it still downloads."""
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            found = COLLECTED.search(file.read())
    except OSError:
        return 0
    return len(found.group(1).split(", ")) if found else 0


def logged(command: "List[str]", log: str, *, cwd: str, tick: "Callable[[], None]") -> int:
    """Run a command with all of its output in a file; return its exit code.

    The command has no input, so that it cannot wait for an answer that nobody is asked for.
    """
    with open(log, "w") as file:
        process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
        )
        try:
            while True:
                try:
                    return process.wait(timeout=TICK)
                except subprocess.TimeoutExpired:
                    tick()
        except BaseException:  # Ctrl-C too: no pip may go on in the background
            process.kill()
            process.wait()
            raise


def last_lines(log: str) -> "List[str]":
    """The last lines of a log that say something, cut where they are long; none without a log."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.path.getsize(log) - TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not NOISE.search(line)]
    return [line if len(line) <= LONG else line[:LONG] + " ..." for line in lines[-LAST:]]


def advice(text: str, default: str) -> str:
    """What helps against an error of which this is the text."""
    return next((words for hint, words in ADVICE.items() if re.search(hint, text)), default)


def explained(code: int, log: str, command: "Sequence[str]", checkout: str) -> str:
    """Why an installation failed, in pip's last lines, and the commands that help."""
    lines = last_lines(log)
    said = "\n".join(f"  | {line}" for line in lines) or "  | (no output)"
    shown = " ".join(map(shlex.quote, command))
    return (
        f"pip could not install the requirements of initcheck (exit code {code}). Its last lines:\n"
        f"{said}\n"
        f"All of its output is in {log}.\n"
        f"{advice(said, 'Fix what these lines name.')} Then run the same command again.\n"
        f"To see pip at work: cd {shlex.quote(checkout)} && {shown}"
    )
