"""What `initcheck report` writes: a page about runs, or the pictures of one as SVG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from initcheck.files import write_atomic
from initcheck.report import html
from initcheck.report.panels import UnfitError
from initcheck.report.pictures import svg
from initcheck.results import Run


def write_page(file: Path, runs: Sequence[Run]) -> str:
    """Write one page about all runs; returns a sentence if that is refused."""
    if not file.parent.exists():
        return f"There is no folder {file.parent}. Create it, or name another file."
    try:
        write_atomic(file, html.page(*runs))
    except OSError as error:
        return f"{file} was not written: {error.strerror or error}. Name another file."
    return ""


def write_pictures(folder: Path, runs: Sequence[Run], files: Sequence[Path]) -> str:
    """Write DIR/NAME.svg for each picture that a run has; returns a sentence if that is refused."""
    if len(runs) > 1:
        return "--pictures draws one run, and several were given. Name one results file."
    try:
        drawn = {
            picture.name: text
            for picture in runs[0].pictures if (text := svg(picture, standalone=True))
        }  # fmt: skip
    except UnfitError as error:
        return f"The pictures in {files[0]} cannot be drawn: {error} Run the claims again."
    if not drawn:
        return (
            f"{files[0]} has no pictures. Run the claims with them: "
            f"pytest benchmarks --initcheck-pictures --initcheck-json {files[0]}."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in drawn.items():
            write_atomic(folder / f"{name}.svg", text)
    except OSError as error:
        return f"The pictures were not written: {error}. Name another folder."
    print(f"Wrote {len(drawn)} pictures to {folder}: {', '.join(drawn)}.")
    return ""
