"""Which files are the user's own, and how their names are shown."""

from __future__ import annotations

import copy
import os
from functools import cache
from pathlib import Path

import torch
import typing_extensions

TORCH = Path(torch.__file__).parent
_PYTHON = f"{Path(copy.__file__).parent}{os.sep}"
_INSTALLED = (f"{_PYTHON}site-packages{os.sep}", f"{_PYTHON}dist-packages{os.sep}")
_NOT_SHOWN = (
    "<",
    *(f"{folder}{os.sep}" for folder in (TORCH, Path(__file__).parents[1])),
    typing_extensions.__file__,  # its decorators, as on torch's older weight_norm
)


@cache
def is_shown(file: str) -> bool:
    """Whether a file is neither torch's, Python's nor of this package."""
    of_python = file.startswith(_PYTHON) and not file.startswith(_INSTALLED)
    return not of_python and not file.startswith(_NOT_SHOWN)


@cache
def shortened(file: str) -> str:
    """A path relative to the working directory or to site-packages, where it is below either."""
    _, _, inside = file.partition("site-packages/")
    if inside:
        return inside
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        return file
