"""Writes an inspection to files: JSON for machines, and a page for people."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from initcheck.files import write_atomic
from initcheck.inspection.findings import Inspection
from initcheck.inspection.page import page


def write(inspection: Inspection, *, json_file: Path | None, html_file: Path | None) -> None:
    """Write those files that are named, each whole or not at all.

    Raises:
        OSError: a file cannot be written.
    """
    if json_file:
        content = inspection.as_json(environment())
        write_atomic(json_file, json.dumps(content, indent=1) + "\n")
    if html_file:
        write_atomic(html_file, page(inspection))


def environment() -> dict[str, Any]:
    """Versions and platform, for the JSON file."""
    return {
        "initcheck": metadata.version("initcheck"),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
    }
