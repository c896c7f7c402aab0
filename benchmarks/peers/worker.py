"""A process that does what it is told, line by line: ``python -m benchmarks.peers.worker 0 1``.

A fresh interpreter, never a fork: JAX and OpenMP keep threads that a fork would lose. Its arguments
are the cores it may run on. It reads ``{kind, way, settings, at}``, waits for ``at`` (None is now),
and answers, as one line of JSON, when it began and ended, by the clock that all processes share,
and what came out of it.
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

# What a kind of work is described by, and the ways to do it.
KINDS = {
    "train": ("benchmarks.peers.job:Job", "benchmarks.peers.tools:WAYS"),
    "gate": ("benchmarks.peers.bounds:Gate", "benchmarks.peers.bounds:WAYS"),
    "rank": ("benchmarks.peers.rank:Residual", "benchmarks.peers.rank:WAYS"),
    "machine": ("builtins:dict", "benchmarks.peers.worker:WAYS"),
}


def main():
    """Answer until the lines end."""
    os.sched_setaffinity(0, map(int, sys.argv[1:]))  # before anything counts the cores
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    from initcheck.devices import compute  # noqa: PLC0415 -- imports torch, which counts the cores

    compute.keep_freed_memory()  # as the gate does; it serves every way alike
    for line in sys.stdin:
        answers.write(json.dumps(_answer(**json.loads(line))) + "\n")
        answers.flush()


def _answer(kind, way, settings, at):
    call = _ready(kind, way, json.dumps(settings))
    if at is not None:
        time.sleep(max(0.0, at - time.monotonic()))
    began = time.monotonic()
    found = call()
    ended = time.monotonic()
    gc.collect()  # after a turn, not before: the next one begins at a given moment
    if at is None:
        gc.freeze()  # what warming up has made stays: no collection need look at it again
    found = found if isinstance(found, dict) else found.tolist()
    return {"began": began, "ended": ended, "found": found}


@cache
def _ready(kind, way, settings):
    described, ways = map(_named, KINDS[kind])
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in json.loads(settings).items()}
    return ways[way](described(**given))


def _named(place):
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    main()


PACKAGES = ("torch", "jax", "jaxlib", "scikit-learn", "skorch", "numpy", "scipy", "pytest")


def _describe(_):
    return lambda: {
        "date": str(dt.datetime.now(tz=dt.UTC).date()),
        "hardware": devices.describe("cpu")["hardware"],
        "capability": devices.describe("cpu")["capability"],
        "cores": len(os.sched_getaffinity(0)),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in PACKAGES},
    }


WAYS = {"describe": _describe}
