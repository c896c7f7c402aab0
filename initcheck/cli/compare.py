"""`initcheck compare`: where the results of several runs of claims differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from initcheck import results
from initcheck.files import UnreadableError, read_json
from initcheck.report import compare, terminal
from initcheck.results import ResultsError


class ComparisonError(ValueError):
    """The files cannot be compared. The message is a sentence."""


class Compared(NamedTuple):
    """The text; whether a verdict differs or a claim is not in all runs; why that says nothing."""

    text: str
    changed: bool
    in_vain: str


def compared(files: Sequence[Path], *, everything: bool) -> Compared:
    """Where the runs differ.

    Args:
        files: the results of at least two runs.
        everything: whether claims and arms that agree are shown too.

    Raises:
        ComparisonError: there are fewer than two different files, or one cannot be read.
    """
    distinct = {file.resolve() for file in files}
    if len(distinct) < max(2, len(files)):
        raise ComparisonError(
            "compare needs the results of at least two runs, each in a file that is named once."
        )
    named = [(str(file), _read(file)) for file in files]
    runs = [run for _, run in named]
    text = compare.compare(*named, everything=everything, columns=terminal.width())
    common = set.intersection(*({result.id for result in run.results} for run in runs))
    in_vain = (
        "" if common else f"No claim was judged in all {len(files)} runs, so nothing was compared. "
        "Run the same claims each time."
    )  # fmt: skip
    return Compared(text, bool(compare.changed(*runs)), in_vain)


def _read(file: Path) -> results.Run:
    try:
        return results.read(file)
    except ResultsError as error:
        hint = (
            " It is the record of a training loop: `initcheck unchanged` compares the loop with it."
            if _is_of_a_loop(file) else ""
        )  # fmt: skip
        raise ComparisonError(f"{error}{hint}") from None


def _is_of_a_loop(file: Path) -> bool:
    from initcheck.trajectory.file import KIND  # noqa: PLC0415 -- torch takes two seconds

    try:
        value = read_json(file)
    except UnreadableError:
        return False
    return isinstance(value, dict) and value.get("kind") == KIND
