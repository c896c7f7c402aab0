"""Ways in which users run the gate, and the mixture of them in which false alarms are counted.

A run's number alone decides its way, so an interrupted measurement continues with the same runs.
"""

from __future__ import annotations

import os
import random
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]  # the checkout that is measured

Way = Mapping[str, str]  # by aspect: which of its choices

#: For each aspect of a run its choices, with the share of runs in percent that get each of them.
MIXTURE: Mapping[str, Mapping[str, int]] = {
    "processes": {"one": 60, "-n 2": 40},
    "order": {"as collected": 50, "random": 50},
    "cores": {"all": 60, "OMP_NUM_THREADS=1": 20, "one core (taskset)": 20},
    "engine": {"ensemble": 75, "module": 25},
    "called": {
        "in the checkout": 50, "elsewhere, by its path": 25, "elsewhere, by --pyargs": 25,
    },
    "caches": {"warm": 60, "cold": 40},
}  # fmt: skip

#: Variables of the environment that would change how the gate runs. Runs do not inherit them.
NOT_INHERITED = ("INITCHECK_", "PYTEST_", "OMP_", "MKL_")


@dataclass(frozen=True)
class Invocation:
    """A command, the folder that it is called in, and the environment variables that it adds."""

    command: list[str]
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, str]:
        """The whole environment of its process."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(NOT_INHERITED)}
        return inherited | self.variables


def drawn(number: int) -> dict[str, str]:
    """The way of the run with this number: each aspect is drawn on its own, by its shares."""
    stream = random.Random(f"way of run {number}")  # noqa: S311 -- a draw, not a secret
    return {
        aspect: stream.choices([*choices], [*choices.values()])[0]
        for aspect, choices in MIXTURE.items()
    }


def invocation(number: int, salt: str, scratch: Path) -> Invocation:
    """The whole gate, as a user runs it in the way of this number.

    Args:
        number: of the run, from 0.
        salt: draws the run's seeds.
        scratch: an empty folder, for results, for cold caches, and to call the gate from.
    """
    way = drawn(number)
    gate = {
        "in the checkout": ["benchmarks"],
        "elsewhere, by its path": [str(ROOT / "benchmarks")],
        "elsewhere, by --pyargs": ["--pyargs", "benchmarks"],
    }[way["called"]]
    command = [*arguments(way, number), "--initcheck-salt", salt]
    variables = {"OMP_NUM_THREADS": "1"} if way["cores"] == "OMP_NUM_THREADS=1" else {}
    if way["caches"] == "cold":
        command += ["-o", f"cache_dir={scratch / 'pytest-cache'}"]
        variables["XDG_CACHE_HOME"] = str(scratch / "cache")
    elsewhere = scratch / "elsewhere"
    elsewhere.mkdir()
    return Invocation(
        [*one_core(way), sys.executable, "-m", "pytest", *gate, *command,
         "--initcheck-json", str(scratch / "results.json")],
        ROOT if way["called"] == "in the checkout" else elsewhere, variables,
    )  # fmt: skip


def arguments(way: Way, number: int) -> list[str]:
    """The arguments of pytest that choose processes, order and engine."""
    chosen = [*shlex.split(way["processes"])] if way["processes"] != "one" else []
    if way["order"] == "random":
        chosen += ["-p", "initcheck.error_rates.shuffled", "--shuffle-seed", str(number)]
    if way["engine"] != "ensemble":
        chosen += ["--initcheck-engine", way["engine"]]
    return chosen


def one_core(way: Way) -> list[str]:
    """What goes in front of the command so that it sees a single core, if its way says so."""
    return ["taskset", "-c", "0"] if way["cores"] == "one core (taskset)" else []


def shown(way: Way, number: int, salt: str) -> str:
    """A command for the checkout that repeats a run; where it was called is not repeated."""
    one_thread = ["OMP_NUM_THREADS=1"] if way["cores"] == "OMP_NUM_THREADS=1" else []
    parts = [*one_thread, *one_core(way), "pytest", "benchmarks", *arguments(way, number)]
    return shlex.join([*parts, "--initcheck-salt", salt])
