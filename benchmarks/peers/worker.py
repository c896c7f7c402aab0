"""A process that runs jobs, one line of JSON each: ``python -m benchmarks.peers.worker 0 1``.

Its arguments are the cores it may run on. It is a fresh interpreter, never a fork, because JAX and
OpenMP keep threads that a fork would lose. It reads ``{kind, tool, settings, at}``, waits until the
time ``at`` (None: starts at once), and answers with one line: when it began and ended, by the clock
that all processes share, and the result.
"""

import datetime as dt
import gc
import importlib
import json
import os
import platform
import sys
import time
from functools import cache
from importlib import metadata

from initcheck import devices

# For each kind of job: the class that describes it, and the tools that do it, by name.
KINDS = {
    "train": ("benchmarks.peers.job:Job", "benchmarks.peers.tools:TOOLS"),
    "gate": ("benchmarks.peers.bounds:Gate", "benchmarks.peers.bounds:TOOLS"),
    "rank": ("benchmarks.peers.rank:Residual", "benchmarks.peers.rank:TOOLS"),
    "machine": ("builtins:dict", "benchmarks.peers.worker:TOOLS"),
}
PACKAGES = ("torch", "jax", "jaxlib", "scikit-learn", "skorch", "numpy", "scipy", "pytest")


def main():
    """Answer every line until the input ends."""
    os.sched_setaffinity(0, map(int, sys.argv[1:]))  # before anything counts the cores
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries may print; only answers go to stdout
    from initcheck.devices import compute  # noqa: PLC0415 -- imports torch, which counts the cores

    compute.keep_freed_memory()  # as the gate does; every tool benefits from it
    for line in sys.stdin:
        answers.write(json.dumps(_answer(**json.loads(line))) + "\n")
        answers.flush()


def _answer(kind, tool, settings, at):
    run = _prepared(kind, tool, json.dumps(settings))
    if at is not None:
        time.sleep(max(0.0, at - time.monotonic()))
    began = time.monotonic()
    result = run()
    ended = time.monotonic()
    gc.collect()  # after the job, because the next one starts at a given time
    if at is None:
        gc.freeze()  # objects from the warm-up stay, so later collections need not look at them
    result = result if isinstance(result, dict) else result.tolist()
    return {"began": began, "ended": ended, "result": result}


@cache
def _prepared(kind, tool, settings):
    """The job as a function without arguments, compiled and loaded once per process."""
    description, tools = map(_imported, KINDS[kind])
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(settings).items()}
    return tools[tool](description(**given))


def _imported(place):
    """The object at ``module:name``."""
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)


def _describe(_):
    """Describes this machine and the versions of the packages that are timed."""
    return lambda: {
        "date": str(dt.datetime.now(tz=dt.UTC).date()),
        "hardware": devices.describe("cpu")["hardware"],
        "capability": devices.describe("cpu")["capability"],
        "cores": len(os.sched_getaffinity(0)),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in PACKAGES},
    }


TOOLS = {"describe": _describe}

if __name__ == "__main__":
    main()
