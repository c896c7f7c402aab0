"""Tools take turns, A B C ... A B C ..., in worker processes that are started once.

There are three layouts: all replicas in one process on one core; one process per core, each with
its share of the replicas, all starting at the same time; one process that may use all cores.
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
LEAD = 0.02  # seconds from sending a job to its start, enough for every process to read it
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


class Worker:
    """A process on these cores; on one core, every library uses one thread."""

    def __init__(self, cores) -> None:
        threads = ONE_THREAD if len(cores) == 1 else {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.peers.worker", *map(str, cores)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), **threads},
        )  # fmt: skip

    def send(self, **job):
        """Send a job to the process."""
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()

    def answer(self):
        """Wait for the result of the job.

        Raises:
            RuntimeError: the process died; its own message is on stderr.
        """
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"a worker ended with exit code {self.process.wait()}; its message is above"
            )
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


class Crew:
    """One worker per core, and one on all cores."""

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
        """The workers of a layout."""
        return {ONE_CORE: self.pinned[:1], EACH_CORE: self.pinned, FREE: [self.free]}[layout]

    def run(self, layout, kind, tool, settings, *, now=False):
        """Run a job; return the seconds from first start to last end, and each worker's result.

        ``settings["seeds"]``, if there are any, are dealt out to the workers. With ``now`` the
        workers start at once, which is for warming up.
        """
        shares = _deal(settings, len(self.workers(layout)))
        workers = self.workers(layout)[: len(shares)]
        at = None if now else time.monotonic() + LEAD
        for worker, share in zip(workers, shares, strict=True):
            worker.send(kind=kind, tool=tool, settings=share, at=at)
        answers = [worker.answer() for worker in workers]
        began, ended = min(a["began"] for a in answers), max(a["ended"] for a in answers)
        return ended - began, [a["result"] for a in answers]


def _deal(settings, parts):
    """The settings of each worker; workers without a seed get none, so there may be fewer."""
    if "seeds" not in settings:
        return [settings] * parts
    parts = min(parts, len(settings["seeds"]))
    return [settings | {"seeds": settings["seeds"][part::parts]} for part in range(parts)]


def rounds(crew, pairs, kind, settings, count):
    """``{layout: {tool: {"found", "seconds": [one per round]}}}``, after one untimed round.

    Args:
        crew: the workers.
        pairs: (layout, tool) in the order of their turns; every second round runs in reverse.
        kind: a key of ``worker.KINDS``.
        settings: the arguments that describe the job.
        count: the number of timed rounds.
    """
    results = {}
    for layout, tool in pairs:
        _, result = crew.run(layout, kind, tool, settings, now=True)
        results.setdefault(layout, {})[tool] = {"found": result, "seconds": []}
    for turn in range(count):
        for layout, tool in pairs if turn % 2 else pairs[::-1]:
            seconds, _ = crew.run(layout, kind, tool, settings)
            results[layout][tool]["seconds"].append(seconds)
    return results
