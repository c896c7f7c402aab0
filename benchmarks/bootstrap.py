"""Run pytest on a fresh clone: set up an environment for the checkout once, then use it again.

This file needs only the standard library and is written in old syntax, so that a Python that is too
old prints a message instead of a SyntaxError.
"""

import errno
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import IO, Callable, Iterator, List, Optional, Sequence, Tuple

from benchmarks.stages import advice, explained, help_text, logged, pip_stages, stage

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST_PYTHON = (3, 11)
INTERRUPTED, MISSING = 2, 4  # pytest's exit codes, so that callers need only one list
STAMP = "initcheck-installed"  # in .venv: the digest of the pyproject.toml that was installed
LOG = "initcheck-install.log"  # in .venv: what pip printed
NAMED = 2  # packages that are named while they are installed: the largest come first


class SetupError(Exception):
    """The environment cannot be set up; the message says why and how to fix it."""


def run_pytest(folder: str, arguments: Sequence[str], checkout: str = CHECKOUT) -> int:
    """Run ``pytest FOLDER ARGUMENTS`` with all requirements installed; exit with its exit code.

    The environment is that of the running Python if it has this checkout as an editable install.
    Otherwise it is ``.venv`` in the checkout, which the first run creates. The exit code is 4 if
    the environment cannot be set up, and 2 if the set-up is interrupted. A request for help before
    the set-up is answered at once, and installs nothing.
    """
    if {"-h", "--help"} & set(arguments) and not _is_ready(checkout):
        sys.stdout.write(help_text(folder))
        return 0
    try:
        python = environment(checkout)
    except SetupError as error:
        _report(str(error))
        return MISSING
    except OSError as error:
        remedy = advice(str(error), "Make it readable and writable.")
        _report(f"{checkout} cannot be set up: {error}. {remedy}")
        return MISSING
    except KeyboardInterrupt:
        _report("Interrupted. Run the same command again to restart the set-up.")
        return INTERRUPTED
    in_checkout = os.path.realpath(os.getcwd()) == os.path.realpath(checkout)
    target = folder if in_checkout else os.path.join(checkout, folder)
    return _hand_over([python, "-m", "pytest", target, *arguments])


def environment(checkout: str = CHECKOUT) -> str:
    """Return the Python to run pytest with; set up its environment if necessary.

    Raises:
        SetupError: this Python is too old, or the environment cannot be created or installed.
    """
    if sys.version_info[:2] < OLDEST_PYTHON:
        current, oldest = (".".join(map(str, v[:2])) for v in (sys.version_info, OLDEST_PYTHON))
        raise SetupError(
            f"This is Python {current}, but initcheck needs {oldest} or newer. Run the same "
            f"command with a newer Python, such as python{oldest}."
        )
    if _is_installed(checkout):
        return sys.executable
    venv = os.path.join(checkout, ".venv")
    with _lock(venv + ".lock"):
        if not _is_set_up(checkout, venv):
            _install(checkout, venv)
    return _python_of(venv)


def _is_set_up(checkout: str, venv: str) -> bool:
    """Whether ``.venv`` has what pyproject.toml asks for now."""
    return _read(os.path.join(venv, STAMP)) == _digest(checkout) and _runs(_python_of(venv))


def _is_ready(checkout: str) -> bool:
    """Whether pytest can run without a set-up."""
    if sys.version_info[:2] < OLDEST_PYTHON:
        return False
    return _is_installed(checkout) or _is_set_up(checkout, os.path.join(checkout, ".venv"))


def _runs(python: str) -> bool:
    """Whether an environment's Python exists and finds the packages that were installed for it.

    An upgrade of Python may have removed it, or replaced it by one that looks in other folders.
    """
    return _call([python, "-c", "import pytest"])[0] == 0


# --- the running interpreter


def _is_installed(checkout: str) -> bool:
    """Whether this Python has the checkout as an editable install, with all requirements."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 -- older Pythons lack it

    if _editable_source() != os.path.realpath(checkout):
        return False
    for name, oldest in _requirements(checkout):
        try:
            if _numbers(version(name)) < _numbers(oldest):
                return False
        except PackageNotFoundError:
            return False
    return True


def _editable_source() -> "Optional[str]":
    """The checkout that this Python has as an editable install of initcheck, or None."""
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415 -- older Pythons lack it

    try:
        origin = json.loads(distribution("initcheck").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return None
    if not origin.get("dir_info", {}).get("editable"):
        return None
    # urllib.request takes longer to import than all else here, and most runs stop above.
    from urllib.parse import urlsplit  # noqa: PLC0415 -- rarely needed, and slow
    from urllib.request import url2pathname  # noqa: PLC0415 -- rarely needed, and slow

    return os.path.realpath(url2pathname(urlsplit(origin["url"]).path))


def _requirements(checkout: str) -> "List[Tuple[str, str]]":
    """The name and oldest version of each requirement, including those of the `test` extra."""
    import tomllib  # noqa: PLC0415 -- since 3.11

    with open(os.path.join(checkout, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)["project"]
    return [
        (re.split("[^A-Za-z0-9._-]", line, maxsplit=1)[0], line.partition(">=")[2] or "0")
        for line in project["dependencies"] + project["optional-dependencies"]["test"]
    ]


def _numbers(version: str) -> "Tuple[int, ...]":
    """The release numbers of a version, for comparison."""
    return tuple(int(part) for part in re.findall("[0-9]+", re.split("[^0-9.]", version)[0]))


# --- .venv in the checkout


def _install(checkout: str, venv: str) -> None:
    """Create ``.venv`` unless there is one that works, and install the checkout in it."""
    log = os.path.join(venv, LOG)
    _report(f"Setting up {venv}: only once, in minutes and up to 7 GB. pip writes to {log}.")
    stamp = os.path.join(venv, STAMP)
    if os.path.exists(stamp):
        os.remove(stamp)
    pip = _pip_for(venv)
    if pip is None:
        with stage(f"creating {os.path.basename(venv)}"):
            pip = _create(venv)
    # Without input pip must not ask for a password: it would wait in silence.
    quiet = ["--no-input", "--disable-pip-version-check"]
    command = [*pip, "install", *quiet, "--editable", ".[test]"]
    with pip_stages(_packages(checkout), log) as tick:
        code = _logged(command, log, cwd=checkout, tick=tick)
        if code != 0:
            raise SetupError(explained(code, log, command, checkout))
    with open(stamp + ".new", "w") as file:
        file.write(_digest(checkout))
    os.replace(stamp + ".new", stamp)  # last, so that an interrupted set-up leaves no stamp


def _packages(checkout: str) -> str:
    """The requirements in words: the first ones by name, and how many more."""
    names = [name for name, _ in _requirements(checkout)]
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _logged(command: "List[str]", log: str, *, cwd: str, tick: "Callable[[], None]") -> int:
    """Run a command with its output in a file; return its exit code."""
    try:
        return logged(command, log, cwd=cwd, tick=tick)
    except FileNotFoundError as error:
        raise SetupError(f"{command[0]} cannot be started: {error}.") from None


def _create(venv: str) -> "List[str]":
    """Create a new environment; return the pip command that installs in it."""
    attempts = (
        ["venv", "--clear", venv],
        ["venv", "--clear", "--without-pip", venv],  # Debian without python3-venv has no ensurepip
        ["virtualenv", "--clear", venv],
    )
    reasons = []
    for attempt in attempts:
        code, output = _call([sys.executable, "-m", *attempt])
        pip = _pip_for(venv) if code == 0 else None
        if pip:
            return pip
        reason = output.strip() or "there is no pip for this environment"
        reasons.append(f"  python -m {' '.join(attempt)}: {reason}\n")
    said = "".join(reasons)
    usual = "Install pip or virtualenv for it (on Debian and Ubuntu: apt install python3-venv)."
    raise SetupError(
        f"{sys.executable} could not create a virtual environment:\n{said}"
        f"{advice(said, usual)} Then run the same command again."
    )


def _pip_for(venv: str) -> "Optional[List[str]]":
    """A pip command that installs in this environment, or None if there is none."""
    python = _python_of(venv)
    inside = [python, "-m", "pip"]
    outside = [sys.executable, "-m", "pip", "--python", python]  # pip >= 22.3
    for pip in (inside, outside):
        if os.path.exists(python) and _call([*pip, "--version"])[0] == 0:
            return pip
    return None


def _python_of(venv: str) -> str:
    """The path of an environment's Python."""
    path = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return os.path.join(venv, *path)


def _digest(checkout: str) -> str:
    """A digest that changes when pyproject.toml changes or the checkout is moved."""
    with open(os.path.join(checkout, "pyproject.toml"), "rb") as file:
        return hashlib.sha256(file.read() + os.path.realpath(checkout).encode()).hexdigest()


def _read(path: str) -> "Optional[str]":
    """The content of a file, or None if it cannot be read."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


@contextmanager
def _lock(path: str) -> "Iterator[None]":
    """Let one process in at a time. The operating system frees the lock when its holder ends."""
    with open(path, "a") as file:
        if not _acquired(file):
            _report("Another command is setting up this checkout; waiting for it.")
            while not _acquired(file):
                time.sleep(0.2)
        yield


def _acquired(file: "IO[str]") -> bool:
    """Try to lock the file; also True if the file system has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 -- Windows only

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 -- POSIX only

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EACCES, errno.EAGAIN)
    return True


# --- processes


def _call(command: "List[str]") -> "Tuple[int, str]":
    """Run a command; return its exit code and its output."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
            check=False,
        )
    except FileNotFoundError as error:
        return 127, str(error)  # a shell's exit code for a missing command
    return done.returncode, done.stdout


def _hand_over(command: "List[str]") -> int:
    """Run a command in place of this process; where that is impossible, return its exit code.

    As one process, a signal that is meant for pytest reaches pytest.
    """
    if os.name == "posix":
        sys.stdout.flush()
        os.execv(command[0], command)  # noqa: S606 -- no shell: a list that is built here
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # pytest receives it too, and ends with its summary
            continue


def _report(sentence: str) -> None:
    """Print a sentence to standard error, so that it is not part of pytest's output."""
    sys.stderr.write(f"initcheck: {sentence}\n")
    sys.stderr.flush()
