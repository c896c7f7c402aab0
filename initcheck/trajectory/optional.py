"""Libraries that callbacks are for: imported when a callback is made, not before."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType

from initcheck.trajectory.loops import TrajectoryError


def imported(names: Sequence[str], *, callback: str, install: str) -> list[ModuleType]:
    """The modules of these names that the program uses; if it uses none, the first that imports.

    Args:
        names: the modules' names.
        callback: what is being made, for the message.
        install: what pip is asked to install.

    Raises:
        TrajectoryError: none is installed.
    """
    used = [module for name in names if (module := sys.modules.get(name)) is not None]
    if used:
        return used
    missing: ImportError | None = None
    for name in names:
        try:
            return [import_module(name)]
        except ImportError as error:
            missing = error
    raise TrajectoryError(
        f"{callback} needs {' or '.join(names)}, and importing it failed: {missing}. Run: pip "
        f"install {install}"
    ) from missing
