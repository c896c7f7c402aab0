"""Values of options: each function reads a text. No torch.

Each raises ValueError with a sentence that says what to give instead; ``--initcheck-NAME: `` comes
before it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

YES, NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
# The smallest arm, 7,850 weights before and after training, takes 6 GB on so many seeds.
MOST_SEEDS = 100_000


def devices(text: str) -> tuple[str, ...]:
    """Names of devices, separated by commas, once each."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise ValueError("names no device. Give one or more, separated by commas, or auto.")
    return names


def count(text: str) -> int:
    """A number of seeds."""
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number. Give 1 or more seeds.") from None
    if number < 1:
        raise ValueError(f"{number} seeds would judge nothing. Give 1 or more.")
    if number > MOST_SEEDS:
        raise ValueError(
            f"{text} seeds fit into the memory of no machine. Give {MOST_SEEDS} at most."
        )
    return number


def one_of(*names: str) -> Callable[[str], str]:
    """A reader of one of these names."""

    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"{text!r} is none of {', '.join(names)}.")
        return text

    return read


def in_ci() -> bool:
    """Whether this is a CI job: ``CI`` is set, and to more than a word for no."""
    return os.environ.get("CI", "").strip().lower() not in ("", *NO)


def yes(text: str) -> bool:
    """Whether it says yes."""
    if text.lower() not in (*YES, *NO):
        raise ValueError(f"{text!r} is neither yes nor no. Give true or false.")
    return text.lower() in YES


def folder(text: str) -> Path:
    """A folder that exists."""
    path = Path(text).expanduser()
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}. Name one that exists.")
    return path


def file(text: str) -> Path:
    """A file that can be written."""
    path = Path(text).expanduser()
    if path.is_dir():
        raise ValueError(f"{path} is a folder. Name a file.")
    target = path.resolve()  # a link may lead to a place where no file can be
    parent = next((place for place in target.parents if place.exists()), path)
    if not (parent.is_dir() and os.access(path if path.exists() else parent, os.W_OK)):
        raise ValueError(f"{path} cannot be written. Name a file in a folder that can be.")
    if not path.exists():  # a name may be too long, and /proc takes no files, even from root
        _try(parent / f".{target.name}.{os.getpid()}", path)
    return path


def _try(trial: Path, path: Path) -> None:
    """Create and remove the temporary file from which ``path`` would be written at the end."""
    try:
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        raise ValueError(
            f"{path} cannot be written: {error.strerror}. Name a file in a folder that can be."
        ) from None


def reason(text: str) -> str:
    """Why evidence may change."""
    if not text.strip():
        raise ValueError("a reason is needed. Say why the evidence may change.")
    return text.strip()


def name(text: str) -> str:
    """A name."""
    if not text.strip():
        raise ValueError("names nothing. Give a name, or leave the option out.")
    return text.strip()


def function_name(text: str) -> str:
    """The text itself, if it is ``MODULE:FUNCTION``.

    Raises:
        ValueError: it is something else; the message shows what to write.
    """
    module, _, function = text.partition(":")
    if not (module and function):
        raise ValueError(f"{text!r} is not MODULE:FUNCTION, as in mypackage.inits:my_init_.")
    return text


def exception(text: str) -> str:
    """``PATTERN CHECK REASON``: what an inspection may find."""
    if len(text.split(maxsplit=2)) < 3:
        raise ValueError(
            f"{text.strip()!r} is not PATTERN CHECK REASON, as in "
            "'blocks.*.gate asleep adaLN-Zero'."
        )
    return text.strip()
