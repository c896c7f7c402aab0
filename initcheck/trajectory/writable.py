"""Can a file be written: asked before a loop trains, not after."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from initcheck.trajectory.loops import TrajectoryError


def demand_writable(path: Path) -> None:
    """Check that a file can be written, without changing it. Missing folders are left missing.

    Raises:
        TrajectoryError: it cannot. The sentence says why.
    """
    folder = Path(os.path.realpath(path)).parent
    while not folder.exists():
        folder = folder.parent
    try:
        if path.is_file():
            with path.open("ab"):
                return
        if path.exists() and not path.is_dir():
            return  # a pipe or a device: its reader would see the end of the file
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        with tempfile.NamedTemporaryFile(prefix=f".{path.name}.", dir=folder):
            return
    except OSError as error:
        reason = error.strerror or str(error)
        raise TrajectoryError(
            f"{path} cannot be written: {reason}. Nothing was run. Name another file."
        ) from None
