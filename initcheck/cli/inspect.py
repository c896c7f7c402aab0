"""`initcheck inspect`: inspect a module by the name of the function that builds it."""

from __future__ import annotations

import argparse
from pathlib import Path

from initcheck.inspection import InspectionError, inspect_model
from initcheck.inspection.calling import imported
from initcheck.inspection.output import write
from initcheck.inspection.placing import require
from initcheck.inspection.text import as_lines


def run(options: argparse.Namespace) -> bool:
    """Inspect, print, write the JSON file and the page; whether the command must fail.

    Raises:
        InspectionError: a function is missing, the module cannot be built, an exception is none.
        OSError: a file cannot be written.
    """
    require(options.device)  # before anything is imported
    here = Path.cwd()
    file = _absolute(options.json, "JSON file")  # a build may change the folder
    page_file = _absolute(options.html, "page")
    given = {
        name: imported(function, here)
        for name in ("batch", "loss", "init", "init_apply")
        if (function := getattr(options, name))
    }
    inspection = inspect_model(
        imported(options.build, here),
        **given,
        record=options.record,
        against=options.against,
        name=options.build,
        device=options.device,
        allow=options.allow,
    )
    print("\n".join(as_lines(inspection, verbose=options.verbose)))
    write(inspection, json_file=file, html_file=page_file)
    return not inspection.ok or (options.strict and bool(inspection.of_severity("warn")))


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
