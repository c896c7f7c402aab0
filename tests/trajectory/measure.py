"""Measures which changes of the examples `unchanged` reports, and how far they are."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from initcheck.envelope.twins import TWINS
from initcheck.trajectory.compare import compare
from initcheck.trajectory.loops import Loop, TrajectoryError
from initcheck.trajectory.recording import made
from initcheck.trajectory.run import run
from initcheck.trajectory.traces import Trace
from tests.trajectory.changes import Change, Training
from tests.trajectory.innocent import OTHER_TORCH, processes
from tests.trajectory.variants import Recorded, all_of, many_products, narrow, recorded

ROOT = Path(__file__).parents[2]
EXAMPLES = (
    "lora", "diffusion", "mixture", "lstm", "amp", "resnet", "transformer", "compiled", "workers",
)  # fmt: skip
STEPS = 32
SETS = ((0, 1, 2, 3), (4, 5, 6, 7))  # seeds of each measurement


def example(name: str) -> Training:
    training: Training = import_module(f"examples.{name}").training
    return training


def reference(name: str, seeds: Sequence[int]) -> Recorded:
    """The reference of an example, in memory."""
    loop = Loop(example(name), name)
    return recorded(lambda: made(loop, steps=STEPS, seeds=seeds, twins=TWINS, reason="measured")[0])


def runs(name: str, seeds: Iterable[int], change: Change | None = None) -> tuple[list[Trace], bool]:
    """The runs of an example, and whether the change took effect in it."""
    reached: list[str] = []
    training = example(name) if change is None else change.applied(example(name), reached)
    found = []
    with many_products():
        for seed in seeds:
            found.append(run(Loop(training, name), seed, STEPS))
            if change and not reached:
                break
    return found, bool(reached)


def judged(before: Recorded, now: Sequence[Trace]) -> dict[str, Any]:
    """What a row of the results says about runs."""
    found = compare([narrow(trace) for trace in now], before.reference)
    result: dict[str, Any] = {
        "verdict": found.verdict, "why": found.why, "r": found.r, "loss_r": found.loss_r,
        "step": found.first_step, "tensor": found.tensor, "not_judged": len(found.not_judged),
        "notes": found.notes,
    }  # fmt: skip
    if found.tensors is not None:
        place = int(found.tensors.r.argmax())
        row, column = divmod(place, found.tensors.r.shape[1])
        result["farthest"] = [before.reference.judged[column], found.tensors.names[row]]
    return result | ({"by": all_of(now, before)} if found.r is not None else {})


def changed(before: Recorded, name: str, change: Change) -> dict[str, Any]:
    """What `unchanged` finds in an example with a change."""
    try:
        now, reached = runs(name, before.reference.seeds, change)
    except TrajectoryError as error:
        return {"applies": True, "verdict": "refused", "why": str(error), "r": None}
    return {"applies": reached} | (judged(before, now) if reached else {})


def write_runs(file: Path, number: int, only: str) -> None:
    """In a process of an innocent change: the runs of examples, for the process that asks."""
    found = {name: runs(name, SETS[number])[0] for name in EXAMPLES if only in name}
    torch.save((torch.__version__, found), file)


def of_process(name: str, number: int, only: str) -> tuple[str, dict[str, list[Trace]]]:
    """The version of torch and the runs of examples, in a process that starts with a change."""
    python = os.environ[OTHER_TORCH] if name == "another torch" else sys.executable
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runs.pt"
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | processes()[name]
        command = [python, "-m", "tests.trajectory", "--runs", str(file)]
        command += ["--set", str(number), "--example", only]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        found: tuple[str, dict[str, list[Trace]]] = torch.load(file, weights_only=False)
        return found


def cells(missing: Iterable[tuple[str, str, int]]) -> Iterator[tuple[str, int, list[str]]]:
    """The changes to measure for each set of seeds and example."""
    rows = list(missing)
    for number in range(len(SETS)):
        for name in EXAMPLES:
            changes = [change for change, other, k in rows if (other, k) == (name, number)]
            if changes:
                yield name, number, changes
