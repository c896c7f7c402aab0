"""Whose a folder of baselines is: evidence is recorded into projects, never into installations."""

from __future__ import annotations

from pathlib import Path

from initcheck.baselines.evidence import BaselineError

CHECKOUT = Path(__file__).resolve().parents[2]  # or the folder that initcheck is installed in
PACKAGE = "initcheck_benchmarks"  # the name of benchmarks/ in a wheel, with its baselines/
INSTALLED = ("site-packages", "dist-packages")


def refuse_installed(folder: Path) -> None:
    """Refuse to record into the files of an installed package.

    Raises:
        BaselineError: the folder is in an installed package.
    """
    place = folder.resolve()
    if not {*INSTALLED, PACKAGE}.isdisjoint(place.parts):
        raise BaselineError(
            f"{folder} belongs to an installed package, which no recording changes. Name another "
            "folder: --out of `initcheck record`, or a copy with --initcheck-baselines of pytest."
        )


def refuse_foreign(folder: Path, here: Path) -> None:
    """Refuse to record into an installation, or from elsewhere into the checkout of initcheck.

    Args:
        folder: where evidence is to be written.
        here: the folder in which the command was started.

    Raises:
        BaselineError: the folder is not the user's.
    """
    refuse_installed(folder)
    if folder.resolve().is_relative_to(CHECKOUT) and not here.resolve().is_relative_to(CHECKOUT):
        raise BaselineError(
            f"{folder} belongs to initcheck, not to the project in {here}. Run the command in "
            f"{CHECKOUT}, or name a folder of yours with --out."
        )
