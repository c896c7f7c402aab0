"""Where the claims are: in the project of the current folder, as pytest finds it, or in initcheck.

Claims that come with initcheck are shown where the project has none, and never recorded from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from initcheck.baselines.limits import nearest
from initcheck.baselines.place import CHECKOUT, PACKAGE
from initcheck.claims import EVERYTHING, Claim, CollectionError, NoClaimError, collect

FOLDER = "benchmarks"
INI_FILES = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "setup.py")


@dataclass(frozen=True)
class Found:
    """Claims, and where they are.

    Attributes:
        claims: at least one.
        note: a sentence that says where they are, or empty if that is where one expects them.
        ours: whether they are the project's, or were named.
    """

    claims: list[Claim]
    note: str = ""
    ours: bool = True


def find(paths: Sequence[str] = ()) -> Found:
    """The claims under these paths; without paths those of this project, else initcheck's.

    This project's claims are in the nearest ``benchmarks``, here or further up. If there is none
    with claims, they are wherever pytest looks for tests in the project.

    Raises:
        CollectionError: a path is missing, a file cannot be collected, or there is no claim.
    """
    if paths:
        return Found(collect(paths))
    for place in _places(Path.cwd()):
        try:
            claims = collect([place])
        except NoClaimError:
            continue
        expected = place == FOLDER
        return Found(claims, "" if expected else f"These are the claims in {_common(claims)}.")
    return packaged(f"{Path.cwd()} has no claims, so these")


def packaged(subject: str = "These") -> Found:
    """The claims that come with initcheck; ``subject`` begins the note.

    Raises:
        CollectionError: there are none.
    """
    checkout = CHECKOUT / FOLDER
    if find_spec(PACKAGE) is not None:
        where = ["--pyargs", PACKAGE]
    elif (CHECKOUT / "pyproject.toml").is_file() and checkout.is_dir():
        where = [str(checkout)]
    else:
        raise CollectionError(
            "There is no claim in this project, and none is installed with initcheck. Name the "
            "folder or file that has the claims."
        )
    claims = collect(where)
    return Found(
        claims, f"{subject} are the claims of initcheck, in {_common(claims)}.", ours=False
    )


def _places(here: Path) -> Iterator[str]:
    """Folders of claims from here up to the project's root, then the whole project."""
    root = _root(here)
    for folder in (here, *here.parents):
        if (folder / FOLDER).is_dir():
            yield FOLDER if folder == here else str(folder / FOLDER)
        if folder == (root or here):
            break
    if root is not None:  # elsewhere pytest would search everything below, such as a home folder
        yield EVERYTHING


def _root(here: Path) -> Path | None:
    """The nearest folder with a file that configures pytest or Python, or with limits."""
    limits = nearest(here)
    for folder in (here, *here.parents):
        configured = any((folder / name).is_file() for name in INI_FILES)
        if configured or (limits is not None and folder == limits.parent):
            return folder
    return here if any(here.glob("test_*.py")) else None


def _common(claims: Sequence[Claim]) -> str:
    """The folder that holds all these claims."""
    folders = [Path(claim.file).resolve().parent for claim in claims]
    return str(next(p for p in (folders[0], *folders[0].parents) if _holds(p, folders)))


def _holds(place: Path, folders: Sequence[Path]) -> bool:
    return all(folder.is_relative_to(place) for folder in folders)
