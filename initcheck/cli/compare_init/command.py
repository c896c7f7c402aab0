"""``initcheck compare-init``: a custom initializer next to the usual ones."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from initcheck.cli.compare_init import shown
from initcheck.cli.compare_init.table import REGIMES, USUAL, Row, compare
from initcheck.files import write_atomic
from initcheck.initializers import InitializerError
from initcheck.initializers.user import import_initializers
from initcheck.plugin.values import function_name


def compare_init(options: argparse.Namespace) -> str:
    """Print the table and write what was requested; returns a sentence if that is refused."""
    try:
        names = [function_name(name) for name in options.init]
        given = import_initializers(names, Path.cwd())
    except (InitializerError, ValueError) as error:
        return str(error)
    setting = shown.Setting(options.activation, options.seeds)
    rows = compare(given, options.activation, options.seeds)
    found = [*_counted(rows, len(REGIMES) * (len(given) + len(USUAL)))]
    print(shown.as_text(found, setting))
    for file, written in ((options.json, shown.as_json), (options.svg, shown.as_svg)):
        if file is None:
            continue
        try:
            write_atomic(file, written(found, setting))
        except OSError as error:
            return f"{file} was not written: {error}. Name another file."
    return ""


def _counted(rows: Iterator[Row], total: int) -> Iterator[Row]:
    """The rows; their count is shown on a terminal, since they take a minute."""
    for number, row in enumerate(rows, start=1):
        if sys.stderr.isatty():
            print(f"\r{number} of {total}", end="" if number < total else "\n", file=sys.stderr)
        yield row
