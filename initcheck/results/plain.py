"""Typed results as plain data, as JSON has it, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from initcheck.results.run import Environment, NotJudged, Picture, Run, Settings
from initcheck.results.types import LACKING, ClaimResult, Comparison, Drift

# JSON has no NaN. What is not finite is written as one of these strings, and read back in the
# fields that hold numbers, so that a message that happens to read "NaN" stays a message.
NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NUMBERS = {
    "seconds", "treated", "control", "min", "max", "margin", "p_value", "r", "loss_r",
    "tensor_r", "mean", "recorded_mean", "recorded_std", "allowed", "detectable_shift",
    "rows",
}  # fmt: skip
_KEYS = {"matmul_precision": "matmul precision"}  # fields whose key is no Python name

T = TypeVar("T")

#: The fields of a Drift that come from comparing outcomes, and are written together or not at all.
_OUTCOMES = tuple(
    each.name for each in fields(Drift)
    if each.name not in (
        "verdict", "environment", "r", "loss_r", "first_step", "tensor", "tensor_r", "first_layer",
        "note",
    )
)  # fmt: skip


def to_plain(value: object) -> Any:
    """A typed value as JSON has it: dicts, lists and strings for what is not finite."""
    if isinstance(value, Drift):
        return {key: to_plain(getattr(value, key)) for key in _written(value)}
    if is_dataclass(value):
        names = [each.name for each in fields(value)]
        return {_KEYS.get(name, name): to_plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if hasattr(value, "item"):  # a NumPy scalar, which json cannot write
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return next(name for name, known in NOT_FINITE.items() if str(known) == str(value))
    return value


def _written(drift: Drift) -> Iterable[str]:
    """The fields that are written: only the verdict if there was no evidence to compare with."""
    if drift.verdict in LACKING:
        return ("verdict",)
    compared = any(getattr(drift, name) is not None for name in _OUTCOMES)
    names = (each.name for each in fields(drift))
    return [name for name in names if compared or name not in _OUTCOMES]


def from_plain(plain: Mapping[str, Any]) -> ClaimResult:
    """The result of a claim that ``to_plain`` gave."""
    return _claim_result(_decoded(plain))


def run_from_plain(plain: Mapping[str, Any]) -> Run:
    """The run that ``to_plain`` gave."""
    whole = _decoded(plain)
    typed = {
        "environment": _known(Environment, whole["environment"]),
        "settings": _known(Settings, whole["settings"]),
        "results": [_claim_result(result) for result in whole["results"]],
        "not_judged": [NotJudged(**claim) for claim in whole.get("not_judged", [])],
        "pictures": [Picture(**picture) for picture in whole.get("pictures", [])],
    }
    return Run(**{**whole, **typed})


def _known(kind: type[T], plain: Mapping[str, Any]) -> T:
    """A value of a class from the keys that it knows: environment and settings may have others."""
    keys = {name: _KEYS.get(name, name) for name in (each.name for each in fields(kind))}  # type: ignore[arg-type]
    return kind(**{name: plain[key] for name, key in keys.items() if key in plain})


def _claim_result(plain: Mapping[str, Any]) -> ClaimResult:
    return ClaimResult(**{**plain, "probes": [_comparison(probe) for probe in plain["probes"]]})


def _comparison(plain: Mapping[str, Any]) -> Comparison:
    drifts = (plain.get("drift") or {}).items()
    typed = {
        "drift": {side: Drift(**drift) for side, drift in drifts if drift},
        "limit": plain["limit"] or {},
    }
    return Comparison(**{**plain, **typed})


def _decoded(value: Any, key: str = "") -> Any:
    """Plain data with its numbers that are not finite in place of their names."""
    if isinstance(value, Mapping):
        return {name: _decoded(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_decoded(item, key) for item in value]
    return NOT_FINITE.get(value, value) if key in _NUMBERS and isinstance(value, str) else value
