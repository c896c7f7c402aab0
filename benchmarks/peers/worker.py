"""A process that does what it is told, line by line: ``python -m benchmarks.peers.worker 0 1``.

A fresh interpreter, never a fork: JAX and OpenMP keep threads that a fork would lose. Its arguments
are the cores it may run on. It reads ``{kind, way, settings, at}`` and answers, as one line of
JSON, the seconds from ``at`` (a moment of the clock that all processes share) until the work was
done, and what came out of it.
"""

import gc
import importlib
import json
import os
import sys
import time
from functools import cache

# What a kind of work is described by, and the ways to do it.
KINDS = {
    "train": ("benchmarks.peers.work:Job", "benchmarks.peers.ways:WAYS"),
    "rank": ("benchmarks.peers.rank:Residual", "benchmarks.peers.rank:WAYS"),
    "machine": ("builtins:dict", "benchmarks.peers.machine:WAYS"),
}


def main():
    """Answer until the lines end."""
    os.sched_setaffinity(0, map(int, sys.argv[1:]))  # before anything counts the cores
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        answers.write(json.dumps(_answer(**json.loads(line))) + "\n")
        answers.flush()


def _answer(kind, way, settings, at):
    call = _ready(kind, way, json.dumps(settings))
    gc.collect()
    if at is None:
        at = time.monotonic()
    time.sleep(max(0.0, at - time.monotonic()))
    found = call()
    seconds = time.monotonic() - at
    return {"seconds": seconds, "found": found if isinstance(found, dict) else found.tolist()}


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
