"""Environments of one torch, the torchvision made for it, and this checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What is asked of an interpreter: its own version and those of torch and torchvision.
ASK = """
import json, platform
from importlib import metadata
def version(name):
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return ""
names = ("torch", "torchvision")
print(json.dumps([".".join(platform.python_version_tuple()[:2]), *map(version, names)]))
"""


class PairError(RuntimeError):
    """A pair cannot be measured; the message is pip's or the interpreter's sentence."""


@dataclass(frozen=True, order=True)
class Pair:
    """A release of torch, its torchvision, and the version of Python in two parts."""

    torch: str
    torchvision: str
    python: str

    @property
    def name(self) -> str:
        """The name of its files."""
        return f"torch-{self.torch}-python-{self.python}"

    @property
    def place(self) -> tuple[tuple[int, ...], ...]:
        """Sorts releases by number: 2.10 is after 2.9."""
        return tuple(
            tuple(int(part) for part in text.split(".") if part.isdecimal())
            for text in (self.torch, self.python)
        )


def of(python: Path) -> Pair:
    """The pair that is installed with an interpreter; empty texts for what is not.

    Raises:
        PairError: there is no such interpreter, or it does not run.
    """
    try:
        asked = subprocess.run(
            [str(python), "-c", ASK], capture_output=True, text=True, check=True, timeout=120
        )
    except (OSError, subprocess.SubprocessError) as error:
        stderr = getattr(error, "stderr", "") or str(error)
        raise PairError(f"{python} does not run: {last_line(stderr)}") from None
    version, torch, torchvision = json.loads(asked.stdout)
    return Pair(torch, torchvision, version)


def make(pair: Pair, python: Path, folder: Path) -> Path:
    """Install a pair and this checkout into ``folder``; returns the environment's interpreter.

    pip reads the user's settings, so it takes wheels from where the user takes them.

    Raises:
        PairError: pip refuses, or what it installed is not the pair or cannot be imported.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    inside = folder / "bin" / "python"
    wanted = [f"torch=={pair.torch}", f"torchvision=={pair.torchvision}"]
    _run([str(python), "-m", "venv", str(folder)])
    _run([str(inside), "-m", "pip", "install", "--quiet", *wanted, "-e", f"{ROOT}[test]"])
    check(inside, pair)
    return inside


def check(python: Path, pair: Pair) -> None:
    """Import the pair, since a torchvision for another build of torch installs and then fails.

    Raises:
        PairError: it is not the pair, or cannot be imported.
    """
    found = of(python)
    if (found.torch, found.torchvision) != (pair.torch, pair.torchvision):
        raise PairError(
            f"torch {found.torch or '-'} and torchvision {found.torchvision or '-'} were installed."
        )
    _run([str(python), "-c", "import torchvision.models, initcheck"])


def remove(folder: Path) -> None:
    """Remove an environment: each takes up to 7 GB."""
    shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT.anchor)
    if done.returncode:
        raise PairError(last_line(done.stderr) or last_line(done.stdout))


def last_line(text: str) -> str:
    """The last line that says something: pip's error, or the exception of a traceback."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or [""])[-1].removeprefix("ERROR:").strip()
