"""`initcheck inspect`: inspect a module by the name of the function that builds it."""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import torch

from initcheck import __version__, devices
from initcheck.files import write_atomic
from initcheck.inspection import InspectionError, inspect_model
from initcheck.inspection.page import page
from initcheck.inspection.subject import imported


def run(options: argparse.Namespace) -> bool:
    """Inspect, print, write the JSON file and the page; whether the command must fail.

    Raises:
        InspectionError: a function is missing, or the module cannot be built.
        OSError: a file cannot be written.
    """
    try:
        devices.require([options.device])
    except devices.DeviceError as error:
        raise InspectionError(str(error).replace("--initcheck-device", "--device")) from None
    here = Path.cwd()
    file = _absolute(options.json, "JSON file")  # a build may change the folder
    page_file = _absolute(options.html, "page")
    inspection = inspect_model(
        imported(options.build, here),
        imported(options.batch, here) if options.batch else None,
        loss=imported(options.loss, here) if options.loss else None,
        name=options.build,
        device=options.device,
    )
    print(inspection)
    if file:
        write_atomic(file, json.dumps(inspection.as_json(environment()), indent=1) + "\n")
    if page_file:
        write_atomic(page_file, page(inspection))
    asked_for = options.batch and "asleep" not in inspection.judged.checks
    strictly = bool(inspection.of_severity("warn")) or bool(asked_for)
    return not inspection.ok or (options.strict and strictly)


def _absolute(file: Path | None, what: str) -> Path | None:
    """The file's absolute path.

    Raises:
        InspectionError: its folder does not exist.
    """
    if file is None:
        return None
    if not file.absolute().parent.is_dir():
        raise InspectionError(
            f"There is no folder {file.absolute().parent} for the {what}. Create it."
        )
    return file.absolute()


def environment() -> dict[str, Any]:
    """Versions and platform, for the JSON file."""
    return {
        "initcheck": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
    }
