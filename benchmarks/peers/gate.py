"""The gate itself: how long it takes, in what memory, and what no gate of the same arms can beat.

Before anything trains, one core imports torch and what its optimizers need. The perceptrons' matrix
products and their optimizers' memory traffic come on top, shared by all cores. The gate also draws
starts, fetches images, computes activations, losses and probes, and trains convolutions.
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
LOOK = 0.5  # seconds between two looks at the memory


def measure(crew, rounds, claims="benchmarks"):
    """Seconds a round of each way, and the steps that the bound has and leaves out.

    Args:
        crew: who computes the bound.
        rounds: of every way.
        claims: the folder or file of the gate.
    """
    told = json.loads(_run(("-m", "benchmarks.peers.gate_plan")))
    steps = sum(arm["steps"] * arm["replicas"] for arm in told["perceptrons"])
    settings = {"arms": told["perceptrons"], "cores": len(crew.cores)}
    runs = _runs(claims)
    for way in names.BOUNDS:
        crew.do(EACH_CORE, "gate", way, settings, now=True)
    seconds = {way: [] for way in (*runs, *names.BOUNDS)}
    processor = []
    for turn in range(rounds):
        for way in list(seconds)[:: 1 if turn % 2 else -1]:
            if way in names.BOUNDS:
                took = crew.do(EACH_CORE, "gate", way, settings)[0]
            else:
                took, busy = _timed(runs[way])
                processor += [busy] if way == GATE else []
            seconds[way].append(took)
    return {
        "seconds": seconds, "processor": processor, "cores": len(crew.cores),
        "steps": told["steps"], "bounded": steps,
    }  # fmt: skip


def peak(claims="benchmarks"):
    """Bytes of the gate's processes together, where no others share torch's pages with them.

    It fills the caches of files and bytecode, so it comes before what is timed.
    """
    return _watched(_runs(claims)[GATE])


def _runs(claims):
    gate = ("-m", "pytest", claims, "-q", "-p", "no:cacheprovider", "--initcheck-device", "cpu")
    notebooks = (*gate, "-p", "benchmarks.peers.gate_subset")
    return {LOADING: ("-c", LOAD), GATE: gate, NOTEBOOKS: notebooks}


def _timed(arguments):
    """Seconds by the clock, and by the processor in all processes together."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    _run(arguments)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _run(arguments):
    """What it prints.

    Raises:
        subprocess.CalledProcessError: it failed; a red gate's time is that of another work.
    """
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True,
        env=variables(),
    ).stdout  # fmt: skip


def _watched(arguments):
    """Bytes at the peak, of the process and all its children; what they share counts once."""
    with subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, env=variables()
    ) as process:
        peak = 0
        while process.poll() is None:
            peak = max(peak, sum(map(_proportional, _family(process.pid))))
            time.sleep(LOOK)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return peak


def _family(process):
    """The process and its descendants."""
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        children = [c for task in tasks for c in (task / "children").read_text().split()]
    except OSError:  # it has just ended
        return []
    return [process, *(one for child in children for one in _family(child))]


def _proportional(process):
    """Its memory, where a page that n processes share counts as one n-th."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:  # it has just ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
