"""Ways that take turns, A B C ... A B C ..., in processes that are started once and then wait.

Three layouts: all replicas in one process on one core; a process a core, each with its share of
the replicas, all starting at the same moment; one process that may use all cores as it likes.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.peers.names import EACH_CORE, FREE, ONE_CORE

ROOT = Path(__file__).parents[2]
LEAD = 0.02  # seconds between the order and the start: every process has read it by then
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


class Worker:
    """A process on these cores; with one core, every library is told to use one thread."""

    def __init__(self, cores) -> None:
        more = ONE_THREAD if len(cores) == 1 else {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.worker", *map(str, cores)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), **more},
        )  # fmt: skip

    def send(self, **order):
        """Hand over an order."""
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self):
        """Wait for what came of it.

        Raises:
            RuntimeError: the process died; its own message stands above on stderr.
        """
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a worker ended with {self.process.wait()}")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


class Crew:
    """A worker on each core, and one on all."""

    def __init__(self) -> None:
        self.cores = sorted(os.sched_getaffinity(0))

    def __enter__(self):
        self.stack = ExitStack()
        self.pinned = [self.stack.enter_context(Worker([core])) for core in self.cores]
        self.free = self.stack.enter_context(Worker(self.cores))
        return self

    def __exit__(self, *_):
        self.stack.close()

    def workers(self, layout):
        """Who works in a layout."""
        return {ONE_CORE: self.pinned[:1], EACH_CORE: self.pinned, FREE: [self.free]}[layout]

    def do(self, layout, kind, way, settings, *, now=False):
        """Seconds from the first's beginning to the last's end, and what each found.

        ``settings["seeds"]``, if there are any, are dealt out; ``now`` is for warming up.
        """
        shares = _deal(settings, len(self.workers(layout)))
        workers = self.workers(layout)[: len(shares)]
        at = None if now else time.monotonic() + LEAD
        for worker, share in zip(workers, shares, strict=True):
            worker.send(kind=kind, way=way, settings=share, at=at)
        answers = [worker.answer() for worker in workers]
        began, ended = min(a["began"] for a in answers), max(a["ended"] for a in answers)
        return ended - began, [a["found"] for a in answers]


def _deal(settings, parts):
    """What each of so many workers is told, or of fewer: nobody can train no replica at all."""
    if "seeds" not in settings:
        return [settings] * parts
    parts = min(parts, len(settings["seeds"]))
    return [settings | {"seeds": settings["seeds"][part::parts]} for part in range(parts)]


def rounds(crew, pairs, kind, settings, number):
    """``{layout: {way: {"found", "seconds": [one a round]}}}``, after a round that is not timed.

    Args:
        crew: who works.
        pairs: (layout, way), in the order of their turns; every other round goes backwards.
        kind: of work, as ``worker.KINDS`` has it.
        settings: of the work.
        number: of rounds.
    """
    results = {}
    for layout, way in pairs:
        _, found = crew.do(layout, kind, way, settings, now=True)
        results.setdefault(layout, {})[way] = {"found": found, "seconds": []}
    for turn in range(number):
        for layout, way in pairs if turn % 2 else pairs[::-1]:
            seconds, _ = crew.do(layout, kind, way, settings)
            results[layout][way]["seconds"].append(seconds)
    return results
