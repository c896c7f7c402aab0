"""Measure all ways in turns and write RESULTS.md: ``python -m benchmarks.peers [--quick]``."""

import argparse
import datetime as dt
import gc
import os
import platform
import time
from importlib import metadata, util
from pathlib import Path

# Before JAX is imported: one arithmetic thread a job, as every other way has; work on the caller's.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
os.environ.setdefault("JAX_CPU_ENABLE_ASYNC_DISPATCH", "false")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np
import torch

from benchmarks.peers import bound, growth
from benchmarks.peers.ways import WAYS
from benchmarks.peers.work import Job
from initcheck import devices

# Relative distance of losses from the module engine's. At first only scikit-learn's epsilon shows,
# which it adds before the bias correction; later rounding grows, so only the mean is compared.
SAME_FIRST, SAME_LAST = 0.002, 0.05
OURS = "initcheck ensemble, 2 jobs"
NEEDS = {"JAX": "jax", "skorch": "skorch", "scikit-learn": "sklearn"}


def main():
    """Run everything, print as it goes, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps, to see that it works")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("RESULTS.md"))
    parser.add_argument("--note", default="", help="a sentence on the machine's load")
    given = parser.parse_args()
    scale = 0.1 if given.quick else 1.0
    rounds = 2 if given.quick else 5
    small, wide = (784, 64, 32, 32, 10), (784, 784, 1024, 1024, 10)
    jobs = [
        Job(small, "Adam", 32, int(300 * scale), 16),
        Job(small, "SGD", 32, int(300 * scale), 16),
        Job(wide, "Adam", 64, int(50 * scale), 4),
        Job(wide, "SGD", 64, int(50 * scale), 4),
    ]
    torch.set_num_threads(1)
    page = [*_head(given.note)]
    for job in jobs:
        page += _section(job, rounds)
        print("\n".join(page[-20:]), flush=True)
    page += _growth(growth.measure({"replicas": [2, 4]} if given.quick else None))
    given.out.write_text("\n".join(page) + "\n", encoding="utf-8")


def _head(note):
    versions = ("torch", "jax", "scikit-learn", "skorch", "numpy")
    known = [f"{name} {metadata.version(name)}" for name in versions if _there(name)]
    yield "# The same training, side by side"
    yield ""
    yield (
        f"{dt.datetime.now(tz=dt.UTC).date()}, {devices.describe('cpu')['hardware']}, "
        f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}, "
        f"{', '.join(known)}. Load average at the start {os.getloadavg()[0]:.1f}. {note}".strip()
    )
    yield ""
    yield (
        "Written by `nox -s peers`. All ways start from the same weights and take the same images "
        "in the same order; that their losses agree, first and last, is checked. They take "
        "turns, one arithmetic thread a job. Times include building and stacking the modules, not "
        "compiling or loading data. Ratios are taken round by round: median (lowest to highest)."
    )
    yield ""


def _there(name):
    return util.find_spec({"scikit-learn": "sklearn"}.get(name, name)) is not None


def _section(job, rounds):
    ways = {
        name: make for name, make in WAYS.items()
        if all(_there(module) for key, module in NEEDS.items() if name.startswith(key))
    }  # fmt: skip
    calls = {name: make(job) for name, make in ways.items()}
    losses = {name: call() for name, call in calls.items()}  # warms up and compiles
    _check(losses)
    times = {name: [] for name in calls}
    for number in range(rounds):
        names = list(calls) if number % 2 else list(calls)[::-1]
        for name in names:
            gc.collect()
            began = time.perf_counter()
            calls[name]()
            times[name].append(time.perf_counter() - began)
    return [*_table(job, times), *_bound(job, times)]


def _check(losses):
    """Raise unless every way did the same work."""
    reference = losses["initcheck module"]
    for name, found in losses.items():
        first = float(np.abs(found[:, :5] / reference[:, :5] - 1).max())
        last = abs(float(found[:, -10:].mean() / reference[:, -10:].mean()) - 1)
        if not (first <= SAME_FIRST and last <= SAME_LAST):
            raise AssertionError(
                f"{name} did other work: its losses begin {first:.1e} and end {last:.1e} from the "
                "module engine's"
            )


def _table(job, times):
    work = job.replicas * job.steps
    yield f"## {job}, {job.steps} steps"
    yield ""
    yield f"| way | replica-steps a second | its time over that of {OURS} |"
    yield "|---|---:|---:|"
    for name, seconds in sorted(times.items(), key=lambda item: -np.median(item[1])):
        ratio = np.array(seconds) / np.array(times[OURS])
        yield (
            f"| {name} | {work / np.median(seconds):,.0f} | "
            f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f}) |"
        )
    yield ""


def _bound(job, times):
    products, traffic = bound.seconds_a_step(job)
    took = np.median(times["initcheck ensemble"]) / job.replicas / job.steps
    yield (
        f"Bound on one core: products {products * 1e3:.3f} ms a step and replica, optimizer "
        f"traffic {traffic * 1e3:.3f} ms; `initcheck ensemble` takes {took * 1e3:.3f} ms, "
        f"so it runs at {(products + traffic) / took:.0%} of the bound."
    )
    yield ""


def _growth(found):
    yield "## Growth"
    yield ""
    yield (
        "`initcheck ensemble`, one job, Adam, batch 32, around 784-64-64-10, 8 replicas, 50 steps; "
        "the exponent is the slope of log cost over log value."
    )
    yield ""
    yield "| varied | values | seconds | exponent | MiB added | exponent |"
    yield "|---|---|---|---:|---|---:|"
    for axis, rows in found.items():
        values, seconds, mib = zip(*rows, strict=True)
        shown = ", ".join(map(str, values)), ", ".join(f"{s:.2f}" for s in seconds)
        yield (
            f"| {axis} | {shown[0]} | {shown[1]} | "
            f"{growth.exponent(values, seconds):.2f} | {', '.join(f'{m:.0f}' for m in mib)} | "
            f"{growth.exponent(values, mib):.2f} |"
        )


if __name__ == "__main__":
    main()
