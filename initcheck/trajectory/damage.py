"""Is the file of a reference damaged: its schema, its lengths, and the domains of its values."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from initcheck.envelope.compare import steps_judged

Sketch = Sequence[float | None]


def damage(plain: dict[str, Any]) -> str:
    """What is wrong with the plain data of a reference; empty if nothing.

    Otherwise a damaged file would be reported as a change of the loop.
    """
    from jsonschema import exceptions  # noqa: PLC0415 -- as _validator

    if error := exceptions.best_match(_validator().iter_errors(plain)):
        return f"{error.json_path}: {error.message[:200]}"
    return _of_lengths(plain) or next(_of_values(plain), "")


@cache
def _validator() -> Any:
    import jsonschema  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 -- 50 ms, only for files

    schema = json.loads(files(__package__).joinpath("trajectory.schema.json").read_text("utf-8"))
    return jsonschema.Draft202012Validator(schema)


def _of_lengths(plain: dict[str, Any]) -> str:
    """Which list has another length than the seeds and the judged steps ask for."""
    judged = steps_judged(plain["steps"])
    if plain["judged"] != judged:
        return f"judged is {plain['judged']}, and of {plain['steps']} steps {judged} are judged"
    seeds, steps = len(plain["seeds"]), len(judged)
    batch = plain["batch"] or []
    lengths = {
        "losses": [len(plain["losses"]) == seeds, *(len(r) == steps for r in plain["losses"])],
        "loss envelope": [len(plain["loss envelope"]) == steps],
        "batch": [plain["batch"] is None or len(batch) == seeds, len({*map(len, batch)}) <= 1],
    }
    for name, each in plain["tensors"].items():
        lengths[name] = [
            len(each["envelope"]) == steps, len(each["ways"]) == seeds,
            len(each["start"]) == seeds, *(len(row) == steps for row in each["ways"]),
        ]  # fmt: skip
    for key, fits in lengths.items():
        if not all(fits):
            return f"{key} does not have {seeds} seeds and {steps} steps"
    widths = {len(sketch) for _, sketch in _sketches(plain)}
    if len(widths) != 1:
        return f"its sketches have {sorted(widths)} numbers, and all have equally many"
    return ""


def _sketches(plain: dict[str, Any]) -> Iterator[tuple[str, Sketch]]:
    """Every sketch, with the name of what it is of."""
    for row in plain["batch"] or []:
        yield from (("batch", sketch) for sketch in row)
    for name, each in plain["tensors"].items():
        yield from ((name, sketch) for sketch in [*each["start"], *itertools.chain(*each["ways"])])
    yield from ((name, each["sketch"]) for name, each in plain["layers"].items())


def _of_values(plain: dict[str, Any]) -> Iterator[str]:
    """Values outside of their domains."""
    steps = sorted({str(each) for each in (0, plain["steps"] - 1)})
    if not {*plain["settings"]} <= {*steps}:
        yield f"settings has the steps {sorted(plain['settings'])}, and {steps} are recorded"
    if any(each is not None and each <= 0 for each in plain["loss envelope"]):
        yield "loss envelope has a number that is not above 0"
    envelopes = {"the losses": plain["loss envelope"]}
    envelopes |= {name: each["envelope"] for name, each in plain["tensors"].items()}
    for name, envelope in envelopes.items():
        sizes = [float("inf") if each is None else each for each in envelope]
        if sizes != sorted(sizes):
            yield f"the envelope of {name} becomes narrower, and rounding errors only grow in it"
    for name, sketch in _sketches(plain):
        if sketch[-1] is not None and sketch[-1] < 0:
            yield f"a sketch of {name} has the length {sketch[-1]}, which is below 0"
        if len({each is None for each in sketch}) > 1:
            yield f"a sketch of {name} is there in part only"
