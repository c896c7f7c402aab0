"""The JSON file of a run's results: writing, reading and checking against its schema."""

from __future__ import annotations

import json
import os
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from initcheck.files import UnreadableError, read_json, write_atomic
from initcheck.results.plain import run_from_plain, to_plain
from initcheck.results.run import SCHEMA, Run


class ResultsError(ValueError):
    """A results file cannot be used. The message is a sentence that says where and why."""


def write(path: str | os.PathLike[str], run: Run) -> None:
    """Write a run in full precision; a reader sees the old file or the new one, never a part.

    Raises:
        ResultsError: the run does not fit the schema; then nothing is written.
    """
    plain = to_plain(run)
    _check(plain, "the results to be written")
    text = json.dumps(plain, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
    write_atomic(Path(path), text + "\n")


def read(path: str | os.PathLike[str]) -> Run:
    """The run that ``write`` wrote, NaN and infinities included.

    Raises:
        ResultsError: the file is missing, is not JSON or does not fit the schema.
    """
    try:
        plain = read_json(Path(path))
        _check(plain, str(path))
        return run_from_plain(plain)
    except UnreadableError as error:
        hint = "; `pytest benchmarks --initcheck-json FILE` writes one" * error.missing
        raise ResultsError(f"{error}{hint}.") from None
    except RecursionError:  # the schema's check needs more room than reading
        raise ResultsError(f"{path} is nested too deeply.") from None
    except ResultsError:
        raise
    except ValueError as error:
        raise ResultsError(f"{path} {error}.") from None


@cache
def _validator() -> Any:
    import jsonschema  # type: ignore[import-untyped,unused-ignore]

    schema = json.loads(files(__package__).joinpath("results.schema.json").read_text("utf-8"))
    return jsonschema.Draft202012Validator(schema)


def _check(plain: Any, name: str) -> None:
    """Raise ResultsError with the worst mismatch between plain data and the shipped schema."""
    version = plain.get("schema", SCHEMA) if isinstance(plain, dict) else SCHEMA
    if version != SCHEMA:
        raise ResultsError(
            f"{name} has schema {version!r}, and this initcheck reads schema {SCHEMA}; "
            "use the version of initcheck that wrote it."
        )
    from jsonschema import exceptions  # type: ignore[import-untyped,unused-ignore]

    if error := exceptions.best_match(_validator().iter_errors(plain)):
        what = error.message if len(error.message) < 300 else error.message[:297] + "..."
        raise ResultsError(f"{name} does not fit the schema at {error.json_path}: {what}.")
