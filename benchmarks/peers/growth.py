"""Measures how time and memory grow; each point has its own process, as peak memory never falls."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Values of each quantity; the other quantities stay at the settings in `point`.
AXES = {
    "replicas": [4, 8, 16, 32, 64],
    "steps": [50, 100, 200, 400],
    "width": [128, 256, 512, 1024],
    "depth": [2, 4, 8, 16],
}


def point(axis, value):
    """The value, seconds of the second training, and MiB that both trainings added to the peak."""
    from benchmarks.peers.job import Job
    from initcheck import devices
    from initcheck.devices import compute
    from initcheck.training.train import train

    compute.keep_freed_memory()
    settings = {"replicas": 8, "steps": 50, "width": 64, "depth": 2} | {axis: value}
    widths = (784, *[settings["width"]] * settings["depth"], 10)
    job = Job(widths, "Adam", 32, settings["steps"], tuple(range(settings["replicas"])))
    first = Job((784, 10), "Adam", 32, 5, (0, 1))
    train(first.arm, first.seeds, first.data)  # loads everything that a training needs
    before = devices.peak_memory("cpu")
    train(job.arm, job.seeds, job.data)
    after = devices.peak_memory("cpu")
    began = time.perf_counter()
    train(job.arm, job.seeds, job.data)
    return [value, time.perf_counter() - began, (after - before) / 2**20]


def measure(axes=None):
    """``{axis: [[value, seconds, MiB], ...]}``."""
    return {axis: [_in_new_process(axis, value) for value in values]
            for axis, values in (axes or AXES).items()}  # fmt: skip


def _in_new_process(axis, value):
    command = [sys.executable, "-m", "benchmarks.peers.growth", axis, str(value)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT, env=env, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    print(json.dumps(point(sys.argv[1], int(sys.argv[2]))))
