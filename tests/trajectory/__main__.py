"""`python -m tests.trajectory`: faults and innocent changes of the examples.

It writes baselines/UNCHANGED.md. Each result is kept: an interrupted run continues with those that
are missing. `INITCHECK_OTHER_PYTHON` names the Python of an environment with another torch.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
from pathlib import Path
from typing import Any

import torch

from initcheck.files import write_atomic
from tests.trajectory.faults import FAULTS
from tests.trajectory.innocent import INNOCENT, processes
from tests.trajectory.measure import (
    EXAMPLES,
    ROOT,
    SETS,
    cells,
    changed,
    judged,
    of_process,
    reference,
    twins_of_process,
    write_runs,
    write_twins,
)
from tests.trajectory.page import page

PAGE, RUNS = ROOT / "baselines" / "UNCHANGED.md", ROOT / "baselines" / "unchanged.jsonl"
Key = tuple[str, str, int]


def kept() -> dict[Key, dict[str, Any]]:
    """The results so far, by change, example and set of seeds; the newest wins."""
    if not RUNS.exists():
        return {}
    lines = map(json.loads, RUNS.read_text(encoding="utf-8").splitlines())
    return {(line["change"], line["example"], line["set"]): line for line in lines}


def wanted(only: str, example: str, sets: int) -> list[Key]:
    """All changes whose name contains a text, with examples and sets of seeds."""
    names = [name for name in [*FAULTS, *INNOCENT, *processes()] if only in name]
    examples = [each for each in EXAMPLES if example in each]
    return [(name, each, k) for name in names for each in examples for k in range(sets)]


def measure(missing: list[Key], only: str) -> None:
    """Measure what is missing, and append each result."""
    in_process = functools.lru_cache(of_process)  # all examples of a set at once
    for name, number, changes in cells(missing):
        before = reference(name, SETS[number])
        for change in changes:
            version = torch.__version__
            if change in processes():
                version, now = in_process(change, "--set", str(number), "--example", only)
                of_seed = twins_of_process(change, name)
                result = {"applies": True} | judged(before, now[name], of_seed)
            else:
                result = changed(before, name, (FAULTS | INNOCENT)[change])
            line = {"change": change, "example": name, "set": number} | result
            line |= {"torch": version, "machine": platform.machine()}
            with RUNS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            if result["applies"]:
                print(name, number, change, "-", result["verdict"], result["r"], flush=True)
                for each in result.get("by_seed", ()):
                    if each["nearest"] is not None:
                        print("  twins of seed", each["seed"], each["r"], each["nearest"])


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(prog="python -m tests.trajectory", description=__doc__)
    parser.add_argument("--only", metavar="TEXT", default="", help="changes with this in the name")
    parser.add_argument("--example", metavar="TEXT", default="", help="examples with this")
    parser.add_argument("--sets", metavar="N", type=int, default=len(SETS), help="sets of seeds")
    parser.add_argument("--again", action="store_true", help="measure those with a result, too")
    parser.add_argument("--runs", metavar="FILE", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--set", metavar="N", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--twins-of", metavar="SEED", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.twins_of is not None:
        write_twins(options.runs, options.twins_of, options.example)
        return
    if options.runs:
        write_runs(options.runs, options.set, options.example)
        return
    torch.set_num_threads(1)
    known = {} if options.again else kept()
    keys = wanted(options.only, options.example, options.sets)
    measure([key for key in keys if key not in known], options.example)
    write_atomic(PAGE, page(list(kept().values())))


if __name__ == "__main__":
    main()
