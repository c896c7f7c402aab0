"""Run pytest on a fresh clone: an environment for the checkout is made once, then used again.

Standard library only, and in syntax that old Pythons can read, so that one of them is told that
it is too old instead of meeting a SyntaxError.
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
from typing import IO, Iterator, List, Optional, Sequence, Tuple

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST_PYTHON = (3, 11)
INTERRUPTED, MISSING = 2, 4  # pytest's exit codes, so that callers need to know one list only
STAMP = "initcheck-installed"  # in .venv: digest of the pyproject.toml that was installed


class SetupError(Exception):
    """Why the environment cannot be set up, as a sentence that names the mend."""


def run_pytest(folder: str, arguments: Sequence[str], checkout: str = CHECKOUT) -> int:
    """The exit code of ``pytest FOLDER ARGUMENTS``, in an environment that has what it needs.

    That is the running interpreter, where this checkout is installed in it as editable with every
    requirement, and else ``.venv`` in the checkout, made and filled on the first run. 4 where that
    fails, and 2 where it is interrupted.
    """
    try:
        python = environment(checkout)
    except SetupError as error:
        _say(str(error))
        return MISSING
    except OSError as error:
        _say(f"{checkout} cannot be set up: {error}. Make it readable and writable.")
        return MISSING
    except KeyboardInterrupt:
        _say("Interrupted. The same command takes the set-up from the start again.")
        return INTERRUPTED
    here = os.path.realpath(os.getcwd()) == os.path.realpath(checkout)
    target = folder if here else os.path.join(checkout, folder)
    return _wait([python, "-m", "pytest", target, *arguments])


def environment(checkout: str = CHECKOUT) -> str:
    """The interpreter to run pytest with, set up first where it must be.

    Raises:
        SetupError: this Python is too old, or the environment cannot be made or filled.
    """
    if sys.version_info[:2] < OLDEST_PYTHON:
        this, oldest = (".".join(map(str, v[:2])) for v in (sys.version_info, OLDEST_PYTHON))
        raise SetupError(
            f"This is Python {this}, and initcheck needs {oldest} or newer. Run the same command "
            f"with a newer one, such as python{oldest}."
        )
    if _is_installed(checkout):
        return sys.executable
    venv = os.path.join(checkout, ".venv")
    with _lock(venv + ".lock"):
        if _read(os.path.join(venv, STAMP)) != _digest(checkout) or not _runs(_python_of(venv)):
            _install(checkout, venv)
    return _python_of(venv)


def _runs(python: str) -> bool:
    """Whether an environment's Python is there, and is the one that its packages were put in for.

    An upgrade may have removed it, or put a newer one in its place, which has other packages.
    """
    return _call([python, "-c", "import pytest"], quiet=True)[0] == 0


# --- the running interpreter


def _is_installed(checkout: str) -> bool:
    """Whether this interpreter has the checkout as an editable install, with all it requires."""
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
    """The folder of which this interpreter has initcheck as an editable install."""
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415 -- older Pythons lack it
    from urllib.parse import urlsplit  # noqa: PLC0415 -- slow to import
    from urllib.request import url2pathname  # noqa: PLC0415 -- slow to import

    try:
        origin = json.loads(distribution("initcheck").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return None
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return os.path.realpath(url2pathname(urlsplit(origin["url"]).path))


def _requirements(checkout: str) -> "List[Tuple[str, str]]":
    """Name and oldest version of each requirement, those of the `test` extra among them."""
    import tomllib  # noqa: PLC0415 -- since 3.11

    with open(os.path.join(checkout, "pyproject.toml"), "rb") as file:
        project = tomllib.load(file)["project"]
    return [
        (re.split("[^A-Za-z0-9._-]", line, maxsplit=1)[0], line.partition(">=")[2] or "0")
        for line in project["dependencies"] + project["optional-dependencies"]["test"]
    ]


def _numbers(version: str) -> "Tuple[int, ...]":
    """The release numbers that a version starts with, to compare two of them."""
    return tuple(int(part) for part in re.findall("[0-9]+", re.split("[^0-9.]", version)[0]))


# --- .venv in the checkout


def _install(checkout: str, venv: str) -> None:
    """Make ``.venv`` if there is none that works, and install the checkout in it."""
    _say(f"Setting up {venv}: torch and what else pyproject.toml names. Only once.")
    stamp = os.path.join(venv, STAMP)
    if os.path.exists(stamp):
        os.remove(stamp)
    pip = _pip_for(venv) or _create(venv)
    code = _call([*pip, "install", "--editable", ".[test]"], cwd=checkout)[0]
    if code != 0:
        raise SetupError(
            f"pip could not install what initcheck needs (exit {code}, its reason stands above). "
            "Mend that (network, package index, room on the disk) and run the same command again; "
            f"if {venv} itself is broken, delete it first."
        )
    with open(stamp + ".new", "w") as file:
        file.write(_digest(checkout))
    os.replace(stamp + ".new", stamp)  # the last act: an interrupted set-up leaves no stamp


def _create(venv: str) -> "List[str]":
    """A new environment; returns the pip command that installs in it."""
    ways = (
        ["venv", "--clear", venv],
        ["venv", "--clear", "--without-pip", venv],  # Debian without python3-venv has no ensurepip
        ["virtualenv", "--clear", venv],
    )
    reasons = []
    for way in ways:
        code, output = _call([sys.executable, "-m", *way], quiet=True)
        pip = _pip_for(venv) if code == 0 else None
        if pip:
            return pip
        reasons.append(f"  python -m {' '.join(way)}: {output.strip() or 'no pip for it'}\n")
    raise SetupError(
        f"No virtual environment could be made with {sys.executable}:\n{''.join(reasons)}"
        "Install pip or virtualenv for it (on Debian and Ubuntu: apt install python3-venv) and run "
        "the same command again."
    )


def _pip_for(venv: str) -> "Optional[List[str]]":
    """A pip command that installs in this environment, or None."""
    python = _python_of(venv)
    own = [python, "-m", "pip"]
    ours = [sys.executable, "-m", "pip", "--python", python]  # pip >= 22.3
    for pip in (own, ours):
        if os.path.exists(python) and _call([*pip, "--version"], quiet=True)[0] == 0:
            return pip
    return None


def _python_of(venv: str) -> str:
    """The interpreter of an environment."""
    path = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return os.path.join(venv, *path)


def _digest(checkout: str) -> str:
    """Changes when pyproject.toml does, or when the checkout has been moved."""
    with open(os.path.join(checkout, "pyproject.toml"), "rb") as file:
        return hashlib.sha256(file.read() + os.path.realpath(checkout).encode()).hexdigest()


def _read(path: str) -> "Optional[str]":
    """What a file holds, or None where there is none."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None


@contextmanager
def _lock(path: str) -> "Iterator[None]":
    """One process at a time; the operating system lets go when its holder ends, however it ends."""
    with open(path, "a") as file:
        if not _grabbed(file):
            _say("Another command is setting up this checkout; waiting for it.")
            while not _grabbed(file):
                time.sleep(0.2)
        yield


def _grabbed(file: "IO[str]") -> bool:
    """Whether the lock on this file is now ours; True too where the file system has no locks."""
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


def _call(
    command: "List[str]", *, cwd: "Optional[str]" = None, quiet: bool = False
) -> "Tuple[int, str]":
    """Exit code and, if quiet, the output of a command."""
    stream = subprocess.PIPE if quiet else None
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdout=stream,
            stderr=subprocess.STDOUT if quiet else None,
            universal_newlines=True,
            check=False,
        )
    except FileNotFoundError as error:
        return 127, str(error)  # a shell's code for it
    return done.returncode, done.stdout or ""


def _wait(command: "List[str]") -> int:
    """The exit code of a command that handles Ctrl-C itself."""
    process = subprocess.Popen(command)
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:  # pytest got it too, and ends with its summary
            continue
        return code if code >= 0 else 128 - code  # as a shell reports a signal


def _say(sentence: str) -> None:
    """A sentence to the user, apart from pytest's output."""
    sys.stderr.write(f"initcheck: {sentence}\n")
    sys.stderr.flush()
