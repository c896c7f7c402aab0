"""The results file: JSON that is the same wherever it is read, checked against a schema."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NoReturn

from initcheck.files import write_atomic

SCHEMA = 1


Verdict = Literal["pass", "inconclusive", "drifted", "refuted", "invalid"]
#: From best to worst. Only the first is green.
ORDER: tuple[Verdict, ...] = ("pass", "inconclusive", "drifted", "refuted", "invalid")


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of the whole: the worst of its parts; a claim that judged nothing is invalid."""
    found = list(verdicts)
    return max(found, key=ORDER.index) if found else "invalid"


def confirmed(first: Verdict, fresh: Verdict) -> Verdict:
    """What two stages say together: the milder of them, so that red takes two failures."""
    return min(first, fresh, key=ORDER.index)


# JSON has no NaN. What is not finite is written as one of these strings, and read back only
# where a number belongs, so that a message that happens to read "NaN" stays a message.
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
TEXTS = frozenset(
    [
        "claim",
        "id",
        "node",
        "device",
        "kind",
        "source",
        "statement",
        "message",
        "probe",
        "case",
        "unit",
        "form",
        "why",
        "fault",
        "reason",
        "treated_name",
        "control_name",
        "first_layer",
        "environment",
        "settings",
        "transform",
    ]
)


class ResultsError(ValueError):
    """A results file that cannot be used; the text is a sentence that says where and why."""


def write(path: str | os.PathLike[str], results: Mapping[str, Any]) -> None:
    """Write results in full precision, so that a reader sees either the old file or the new.

    Raises: ResultsError if they do not fit the schema; then nothing is written.
    """
    encoded = _encode(results)
    _check(encoded, "the results to be written")
    text = json.dumps(encoded, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False)
    write_atomic(Path(path), text + "\n")


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The results that `write` wrote, NaN and infinities included.

    Raises: ResultsError if the file is missing, is not JSON or does not fit the schema.
    """
    text = _text(Path(path))
    try:
        encoded = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ResultsError(f"{path} is not JSON at {where}: {error.msg}.") from None
    except _BareConstantError as error:
        raise ResultsError(f'{path} is not JSON: it has a bare {error}, not "{error}".') from None
    _check(encoded, str(path))
    decoded: dict[str, Any] = _decode(encoded)
    return decoded


def validate(results: Mapping[str, Any], name: str = "the results") -> None:
    """Check results, as they are in memory, against the shipped schema.

    Raises: ResultsError with the JSON path of the worst mismatch.
    """
    _check(_encode(results), name)


class _BareConstantError(Exception):
    """A NaN or infinity without quotes, which Python's parser accepts and no other does."""


def _refuse_constant(constant: str) -> NoReturn:
    raise _BareConstantError(constant)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ResultsError(
            f"{path} does not exist; `pytest benchmarks --initcheck-json FILE` writes one."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ResultsError(f"{path} cannot be read: {reason}.") from None


@cache
def _validator() -> Any:
    import jsonschema  # type: ignore[import-untyped,unused-ignore]

    schema = json.loads(files(__package__).joinpath("results.schema.json").read_text("utf-8"))
    return jsonschema.Draft202012Validator(schema)


def _check(encoded: Any, name: str) -> None:
    """Raise the worst mismatch of an encoded value with the schema, as a sentence."""
    version = encoded.get("schema", SCHEMA) if isinstance(encoded, dict) else SCHEMA
    if version != SCHEMA:
        raise ResultsError(
            f"{name} has schema {version!r}, and this initcheck reads schema {SCHEMA}; "
            "use the version of initcheck that wrote it."
        )
    from jsonschema import exceptions  # type: ignore[import-untyped,unused-ignore]

    if error := exceptions.best_match(_validator().iter_errors(encoded)):
        what = error.message if len(error.message) < 300 else error.message[:297] + "..."
        raise ResultsError(f"{name} does not fit the schema at {error.json_path}: {what}.")


def _encode(value: Any) -> Any:
    """The value in JSON's types, with strings for what is not finite."""
    if isinstance(value, Mapping):
        return {key: _encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    if hasattr(value, "item"):  # a NumPy scalar, which json cannot write
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return next(name for name, known in NOT_FINITE.items() if str(known) == str(value))
    return value


def _decode(value: Any, key: str = "") -> Any:
    """The inverse of `_encode`; texts and all that is below them stay as they are."""
    if key in TEXTS:
        return value
    if isinstance(value, dict):
        return {name: _decode(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_decode(item, key) for item in value]
    return NOT_FINITE.get(value, value) if isinstance(value, str) else value
