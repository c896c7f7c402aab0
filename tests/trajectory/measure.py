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
from initcheck.trajectory.confirming import Twins, confirmed, twins_of_today
from initcheck.trajectory.loops import Loop, TrajectoryError
from initcheck.trajectory.recording import made
from initcheck.trajectory.run import run
from initcheck.trajectory.seeds import OfSeed
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


def changed_loop(name: str, change: Change | None, reached: list[str]) -> Loop:
    """An example with a change, which notes in ``reached`` that it took effect."""
    training = example(name) if change is None else change.applied(example(name), reached)
    return Loop(training, name)


def runs(name: str, seeds: Iterable[int], change: Change | None = None) -> tuple[list[Trace], bool]:
    """The runs of an example, and whether the change took effect in it."""
    reached: list[str] = []
    loop = changed_loop(name, change, reached)
    found = []
    with many_products():
        for seed in seeds:
            found.append(run(loop, seed, STEPS))
            if change and not reached:
                break
    return found, bool(reached)


def twins(name: str, change: Change | None = None) -> Twins:
    """The twins of an example with a change, as `unchanged` runs them for a seed that left."""
    return twins_of_today(changed_loop(name, change, []), STEPS)


def judged(before: Recorded, now: Sequence[Trace], twins: Twins) -> dict[str, Any]:
    """What a row of the results says about runs, and about the twins of seeds that left."""
    found = compare([narrow(trace) for trace in now], before.reference)
    found = confirmed(found, before.reference, twins)
    result: dict[str, Any] = {
        "verdict": found.verdict, "why": found.why, "r": found.r, "loss_r": found.loss_r,
        "step": found.first_step, "tensor": found.tensor, "not_judged": len(found.not_judged),
        "notes": found.notes, "by_seed": [_of_seed(each) for each in found.seeds],
    }  # fmt: skip
    if found.tensors is not None:
        place = int(found.tensors.r.argmax())
        row, column = divmod(place, found.tensors.r.shape[1])
        result["farthest"] = [before.reference.judged[column], found.tensors.names[row]]
    return result | ({"by": all_of(now, before)} if found.r is not None else {})


def _of_seed(each: OfSeed) -> dict[str, Any]:
    """The r of a seed, and of the nearest of its twins if they were run."""
    plain = each.as_json()
    return {key: plain[key] for key in ("seed", "r", "allowed", "nearest", "coarse", "changed")}


def changed(before: Recorded, name: str, change: Change) -> dict[str, Any]:
    """What `unchanged` finds in an example with a change."""
    try:
        now, reached = runs(name, before.reference.seeds, change)
    except TrajectoryError as error:
        return {"applies": True, "verdict": "refused", "why": str(error), "r": None}
    return {"applies": reached} | (judged(before, now, twins(name, change)) if reached else {})


def write_runs(file: Path, number: int, only: str) -> None:
    """In a process of an innocent change: the runs of examples, for the process that asks."""
    found = {name: runs(name, SETS[number])[0] for name in EXAMPLES if only in name}
    torch.save((torch.__version__, found), file)


def write_twins(file: Path, seed: int, name: str) -> None:
    """The same of the twins of one seed of an example."""
    torch.save((torch.__version__, [*twins(name)(seed)]), file)


def of_process(change: str, *options: str) -> tuple[str, Any]:
    """The version of torch and what a process that starts with a change writes."""
    python = os.environ[OTHER_TORCH] if change == "another torch" else sys.executable
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runs.pt"
        environment = os.environ | {"PYTHONPATH": str(ROOT)} | processes()[change]
        command = [python, "-m", "tests.trajectory", "--runs", str(file), *options]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)
        found: tuple[str, Any] = torch.load(file, weights_only=False)
        return found


def twins_of_process(change: str, name: str) -> Twins:
    """The twins of an example in processes that start with a change."""

    def of_seed(seed: int) -> Iterator[Trace]:
        yield from of_process(change, "--twins-of", str(seed), "--example", name)[1]

    return of_seed


def cells(missing: Iterable[tuple[str, str, int]]) -> Iterator[tuple[str, int, list[str]]]:
    """The changes to measure for each set of seeds and example."""
    rows = list(missing)
    for number in range(len(SETS)):
        for name in EXAMPLES:
            changes = [change for change, other, k in rows if (other, k) == (name, number)]
            if changes:
                yield name, number, changes
