"""`python -m tests.versions.inside FILE`: what is measured in the environment of one torch.

Random streams, the examples of `inspect` and those of `unchanged`; the gate runs under pytest.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from initcheck import inspect_model, unchanged
from tests.inspection.faulty import rows
from tests.inspection.libraries.vision import torchvision_classifier
from tests.inspection.test_faulty import FAULTY
from tests.inspection.test_faulty_more import FOUND
from tests.trajectory.measure import EXAMPLES, STEPS, example
from tests.versions.streams import streams

MODELS = ("resnet18", "mobilenet_v3_small", "shufflenet_v2_x0_5", "swin_t")
#: Findings that are true, as baselines/INSPECTED.md has them.
EXPECTED = {"swin_t": ["warn effect"]}


def inspected() -> Iterator[dict[str, Any]]:
    """Each model and each faulty module: what was expected, and what was found."""
    for name in MODELS:
        yield _judged(f"torchvision {name}", _model(name), EXPECTED.get(name, []))
    later = ((build, rows, *rest) for build, *rest in FOUND)
    for build, batch, check, severity, parameter in [*FAULTY, *later]:
        yield _judged(build.__name__, _faulty(build, batch, parameter), [f"{severity} {check}"])


def _model(name: str) -> Callable[[], list[str]]:
    def find() -> list[str]:
        build, batch, *_ = torchvision_classifier(name)
        found = inspect_model(build, batch, name=name).of_severity("fail", "warn")
        return [f"{each.severity} {each.check}" for each in found]

    return find


def _faulty(build: Any, batch: Any, parameter: str) -> Callable[[], list[str]]:
    def find() -> list[str]:
        found = inspect_model(build, batch).findings
        return [f"{each.severity} {each.check}" for each in found if parameter in each.parameters]

    return find


def _judged(name: str, find: Callable[[], list[str]], expected: list[str]) -> dict[str, Any]:
    try:
        found = sorted({*find()})
    except Exception as error:  # noqa: BLE001 -- of any release, and the others must be inspected
        return {"name": name, "ok": False, "error": f"{type(error).__name__}: {error}"[:300]}
    models = name.startswith("torchvision ")  # in which nothing else may be found
    right = {*found} == {*expected} if models else {*expected} <= {*found}
    return {"name": name, "ok": right, "expected": expected, "found": found}


def followed(folder: Path, *, record: bool) -> Iterator[dict[str, Any]]:
    """Each example against the reference in ``folder``, which is recorded if it is missing."""
    for name in EXAMPLES:
        file = folder / f"reference-{name}.json"
        if record and not file.exists():
            unchanged(example(name), file=file, steps=STEPS, record="newest torch", name=name)
        try:
            report = unchanged(example(name), file=file, name=name)
        except Exception as error:  # noqa: BLE001 -- as in `_judged`
            yield {"name": name, "verdict": "refused", "why": f"{type(error).__name__}: {error}"}
            continue
        yield {
            "name": name, "verdict": report.verdict, "r": report.r, "tensor": report.tensor,
            "why": report.comparison.why, "reference": str(report.reference.environment["torch"]),
        }  # fmt: skip


def main() -> None:
    """Write the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m tests.versions.inside", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--references", type=Path, required=True)
    parser.add_argument("--record", action="store_true", help="record references that are missing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    found = {
        "streams": streams(),
        "inspected": list(inspected()),
        "followed": list(followed(options.references, record=options.record)),
    }
    found["seconds"] = round(time.process_time() - began, 1)
    options.file.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
