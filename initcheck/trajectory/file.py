"""The file that keeps a reference: JSON, one line per tensor, written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from initcheck.envelope.ways import rounded
from initcheck.files import UnreadableError, is_there, read_json, write_atomic
from initcheck.trajectory.damage import damage
from initcheck.trajectory.layers import Layer
from initcheck.trajectory.loops import TrajectoryError
from initcheck.trajectory.reference import Reference, Tracked

KIND = "initcheck trajectory"
SCHEMA = 1


def write(reference: Reference, path: Path) -> None:
    """Write a reference; a reader sees the old file or the new one, never a part.

    Reason, date and torch of the recordings that the file kept before stay in its history.

    Raises:
        TrajectoryError: the file is there and is no reference; then it stays as it is.
        OSError: the file cannot be written.
    """
    if is_there(path):
        before = read(path)
        reference.history = [
            *before.history,
            {
                "reason": before.reason, "date": before.date,
                "torch": str(before.environment["torch"]),
            },
        ]  # fmt: skip
    write_atomic(path, "\n".join(_lines(reference)) + "\n")


def _lines(reference: Reference) -> Iterator[str]:
    """The file's lines: one per key, tensor and layer, so that a difference is readable."""
    head = {
        "kind": KIND, "schema": SCHEMA, "name": reference.name, "reason": reference.reason,
        "date": reference.date, "history": reference.history,
        "environment": reference.environment, "steps": reference.steps,
        "seeds": reference.seeds, "judged": reference.judged, "twins": reference.twins,
        "float64": reference.float64, "repeats": reference.repeats, "draws": reference.draws,
        "settings": {str(step): each for step, each in reference.settings.items()},
        "losses": reference.losses.tolist(),
        "loss envelope": _short(reference.loss_envelope, 3),
        "batch": None if reference.batch is None else _short(reference.batch, 9),
    }  # fmt: skip
    yield "{"
    for key, value in head.items():
        yield f" {_text(key)}: {_text(value)},"
    yield from _block("tensors", {n: _tensor(each) for n, each in reference.tensors.items()}, ",")
    yield from _block("layers", {n: _layer(each) for n, each in reference.layers.items()}, "")
    yield "}"


def _block(key: str, rows: dict[str, Any], end: str) -> Iterator[str]:
    yield f" {_text(key)}: {{"
    last = len(rows) - 1
    for number, (name, row) in enumerate(rows.items()):
        yield f"  {_text(name)}: {_text(row)}{',' if number < last else ''}"
    yield f" }}{end}"


def _text(value: Any) -> str:
    return json.dumps(value, allow_nan=False, ensure_ascii=False)


def _tensor(tracked: Tracked) -> dict[str, Any]:
    ways = [
        [
            [_number(rounded(float(x), float(width))) for x in sketch]
            for sketch, width in zip(seed, tracked.envelope, strict=True)
        ]
        for seed in tracked.ways
    ]
    return {
        "shape": tracked.shape, "trained": tracked.trained, "start": _short(tracked.start, 9),
        "envelope": _short(tracked.envelope, 3), "ways": ways,
    }  # fmt: skip


def _layer(layer: Layer) -> dict[str, Any]:
    return {"sketch": _short(layer.sketch, 9), "envelope": _number(float(f"{layer.envelope:.3g}"))}


def _short(tensor: Tensor, digits: int) -> Any:
    """Nested lists of numbers with so many digits; null for NaN and infinity."""

    def shortened(value: Any) -> Any:
        if isinstance(value, list):
            return [shortened(each) for each in value]
        return _number(float(f"{value:.{digits}g}"))

    return shortened(tensor.tolist())


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


# --- reading --------------------------------------------------------------------------------------


def read(path: Path) -> Reference:
    """The reference that a file keeps.

    Raises:
        TrajectoryError: the file is missing, damaged, of another kind or schema.
    """
    again = "Move it away, and record the loop again."
    try:
        plain = read_json(path)
    except UnreadableError as error:
        problem = f"There is no reference {path}." if error.missing else f"{error}. {again}"
        raise TrajectoryError(problem) from None
    if not isinstance(plain, dict) or plain.get("kind") != KIND:
        raise TrajectoryError(f"{path} is no reference of a training loop. {again}")
    if plain.get("schema") != SCHEMA:
        raise TrajectoryError(
            f"{path} has schema {plain.get('schema')!r}, and this version of initcheck reads "
            f"{SCHEMA}. Use the version that wrote it, or record the loop again."
        )
    problem = damage(plain)
    if problem:
        raise TrajectoryError(f"{path} is damaged: {problem}. {again}")
    return _reference(plain)


def _reference(plain: dict[str, Any]) -> Reference:
    return Reference(
        name=plain["name"], steps=plain["steps"], seeds=plain["seeds"], judged=plain["judged"],
        losses=_array(plain["losses"]), loss_envelope=_array(plain["loss envelope"], torch.inf),
        tensors={
            name: Tracked(
                each["shape"], each["trained"], _array(each["start"]), _array(each["ways"]),
                _array(each["envelope"], torch.inf),
            )
            for name, each in plain["tensors"].items()
        },
        batch=None if plain["batch"] is None else _array(plain["batch"]),
        draws=plain["draws"],
        settings={int(step): each for step, each in plain["settings"].items()},
        layers={
            name: Layer(
                _array(each["sketch"]),
                torch.inf if each["envelope"] is None else each["envelope"],
            )
            for name, each in plain["layers"].items()
        },
        environment=plain["environment"], twins=plain["twins"], float64=plain["float64"],
        repeats=plain["repeats"], reason=plain["reason"], date=plain["date"],
        history=plain["history"],
    )  # fmt: skip


def _array(value: Any, absent: float = torch.nan) -> Tensor:
    """Nested lists as float64; null as ``absent``."""

    def filled(each: Any) -> Any:
        if isinstance(each, list):
            return [filled(inner) for inner in each]
        return absent if each is None else each

    return torch.tensor(filled(value), dtype=torch.float64)
