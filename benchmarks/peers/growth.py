"""How time and memory grow: each point in a process of its own, since peak memory never falls."""

import json
import subprocess
import sys
import time

import numpy as np

# The widths, depths, replicas and steps that are varied, one at a time, around the middle.
AXES = {
    "replicas": [4, 8, 16, 32, 64],
    "steps": [50, 100, 200, 400],
    "width": [128, 256, 512, 1024],
    "depth": [2, 4, 8, 16],
}


def point(axis, value):
    """Seconds of the second training, and MiB that both added to the peak."""
    from benchmarks.peers.work import Job  # noqa: PLC0415 -- only the child process needs torch
    from initcheck import devices  # noqa: PLC0415
    from initcheck.training import train  # noqa: PLC0415

    settings = {"replicas": 8, "steps": 50, "width": 64, "depth": 2} | {axis: value}
    widths = (784, *[settings["width"]] * settings["depth"], 10)
    job = Job(widths, "Adam", 32, settings["steps"], settings["replicas"])
    first = Job((784, 10), "Adam", 32, 5, 2)
    train(first.arm, range(2), first.data)  # loads what every training loads
    before = devices.peak_memory("cpu")
    train(job.arm, range(job.replicas), job.data)
    after = devices.peak_memory("cpu")
    began = time.perf_counter()
    train(job.arm, range(job.replicas), job.data)
    return {"seconds": time.perf_counter() - began, "mib": (after - before) / 2**20}


def measure(axes=None):
    """``{axis: [(value, seconds, MiB), ...]}``."""
    found = {}
    for axis, values in (axes or AXES).items():
        found[axis] = []
        for value in values:
            command = [sys.executable, "-m", "benchmarks.peers.growth", axis, str(value)]
            said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            got = json.loads(said.splitlines()[-1])
            found[axis].append((value, got["seconds"], got["mib"]))
    return found


def exponent(values, costs):
    """The slope of log cost over log value, by least squares."""
    return float(np.polyfit(np.log(values), np.log(np.maximum(costs, 1e-9)), 1)[0])


if __name__ == "__main__":
    print(json.dumps(point(sys.argv[1], int(sys.argv[2]))))
