"""Measures the time and memory of the gate, and a lower bound for any gate with the same arms.

The bound is the import of torch and its optimizers on one core, plus the perceptrons' matrix
products and their optimizers' memory traffic, shared by all cores. The gate also draws starts,
fetches images, computes activations, losses and probes, and trains convolutions.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.peers import names
from benchmarks.peers.names import EACH_CORE, GATE, LOADING, NOTEBOOKS
from benchmarks.peers.startup import variables

ROOT = Path(__file__).parents[2]
LOAD = "import torch; torch.optim.SGD([torch.zeros(1)]).step()"
INTERVAL = 0.5  # seconds between two readings of memory


def measure(crew, rounds, claims="benchmarks"):
    """Seconds per round of the gate and its bounds, and the replica-steps that the bound covers.

    Args:
        crew: the workers that compute the bound.
        rounds: the number of rounds.
        claims: the folder or file of claims.
    """
    plan = json.loads(_run(("-m", "benchmarks.peers.gate_plan")))
    steps = sum(arm["steps"] * arm["replicas"] for arm in plan["perceptrons"])
    settings = {"arms": plan["perceptrons"], "cores": len(crew.cores)}
    runs = _runs(claims)
    for name in names.BOUNDS:
        crew.run(EACH_CORE, "gate", name, settings, now=True)
    seconds = {name: [] for name in (*runs, *names.BOUNDS)}
    processor = []
    for turn in range(rounds):
        for name in list(seconds)[:: 1 if turn % 2 else -1]:
            if name in names.BOUNDS:
                took = crew.run(EACH_CORE, "gate", name, settings)[0]
            else:
                took, busy = _timed(runs[name])
                processor += [busy] if name == GATE else []
            seconds[name].append(took)
    return {
        "seconds": seconds, "processor": processor, "cores": len(crew.cores),
        "steps": plan["steps"], "bounded": steps,
    }  # fmt: skip


def peak(claims="benchmarks"):
    """Peak memory of all processes of the gate together, in bytes.

    Run it before the timings: it fills the caches of files and bytecode. No other process may have
    torch loaded, because shared pages would be counted in part.
    """
    return _peak_memory(_runs(claims)[GATE])


def _runs(claims):
    gate = ("-m", "pytest", claims, "-q", "-p", "no:cacheprovider", "--initcheck-device", "cpu")
    notebooks = (*gate, "-p", "benchmarks.peers.gate_subset")
    return {LOADING: ("-c", LOAD), GATE: gate, NOTEBOOKS: notebooks}


def _timed(arguments):
    """Wall-clock seconds, and processor seconds of all processes together."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    _run(arguments)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _run(arguments):
    """The output of a Python process with these arguments.

    Raises:
        subprocess.CalledProcessError: it failed; the time of a red gate means nothing.
    """
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
        env=variables(),
    ).stdout  # fmt: skip


def _peak_memory(arguments):
    """Peak bytes of a process and its descendants together; shared pages count once."""
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, env=variables()
    ) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(_proportional, _family(process.pid))))
            time.sleep(INTERVAL)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return peak


def _family(process):
    """The ids of a process and its descendants."""
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        children = [c for task in tasks for c in (task / "children").read_text().split()]
    except OSError:  # it has just ended
        return []
    return [process, *(one for child in children for one in _family(child))]


def _proportional(process):
    """Bytes of a process's memory; a page shared by n processes counts as one n-th."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:  # it has just ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
