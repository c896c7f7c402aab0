"""Runs pytest in a process that ends with its parent: ``python child.py FOLDER ARGUMENTS``.

The parent holds the other end of standard input, a pipe. Its end tells, on every platform, that the
parent has ended, however it did. Then this process removes FOLDER, which the parent no longer can.

This is a script and imports nothing of initcheck, which pytest has to import first.
"""

import os
import runpy
import shutil
import sys
import threading
from pathlib import Path
from typing import NoReturn

PARENT_ENDED = 1


def main(folder: str, *arguments: str) -> None:
    """Run pytest with these arguments."""
    pipe = os.dup(sys.stdin.fileno())  # pytest closes standard input
    threading.Thread(target=_end_after, args=(pipe, folder), daemon=True).start()
    if not sys.flags.safe_path:
        sys.path[0] = ""  # as `python -m pytest`: the current folder, not the script's
    sys.argv = ["pytest", *arguments]
    runpy.run_module("pytest", run_name="__main__", alter_sys=True)


def _end_after(pipe: int, folder: str) -> NoReturn:
    """Wait for the end of the pipe, then remove the folder and end this process."""
    while os.read(pipe, 1):
        pass
    while Path(folder).exists():  # again, if pytest was writing a file
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(PARENT_ENDED)


if __name__ == "__main__":
    main(*sys.argv[1:])
