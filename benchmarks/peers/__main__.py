"""Measure all ways in turns, store the raw seconds, and write the page from them.

``python -m benchmarks.peers [--quick]``; ``--page`` only writes the page anew, ``--only PART``
measures a part again. No torch here: peak memory of a child process begins at that of its parent.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from benchmarks.peers import agreement, gate, growth, names, page, startup
from benchmarks.peers.names import EACH_CORE, FREE, ONE_CORE
from benchmarks.peers.rounds import Crew, rounds

HERE = Path(__file__).parent
SMALL, WIDE = (784, 64, 32, 32, 10), (784, 784, 1024, 1024, 10)
# Steps enough that building the starts, which every way pays, is a small part.
JOBS = (
    {"widths": SMALL, "optimizer": "Adam", "batch": 32, "steps": 60, "seeds": range(16)},
    {"widths": SMALL, "optimizer": "SGD", "batch": 32, "steps": 60, "seeds": range(16)},
    {"widths": WIDE, "optimizer": "Adam", "batch": 64, "steps": 40, "seeds": range(2)},
)
ROUNDS, RANK_ROUNDS, STARTUP_ROUNDS, GATE_ROUNDS = 5, 4, 21, 3
QUICK_STEPS, QUICK_SEEDS, QUICK_ROUNDS = 5, 2, 1

# Few tools are used as one process on all cores; the others gain nothing from a second thread.
LAYOUTS = {
    ONE_CORE: names.WAYS + names.BOUNDS,
    EACH_CORE: names.WAYS + names.BOUNDS,
    FREE: (names.NOTEBOOK, names.PLAIN, names.VMAP, *names.JAX, names.OURS),
}
RANK_WAYS = (names.OURS, *names.NUMPY)


def main():
    """Run everything or some parts, or only write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps, to see that it works")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page")
    parser.add_argument("--only", action="append", choices=PARTS, metavar="PART",
                        help=f"keep what is stored of the others: {', '.join(PARTS)}")  # fmt: skip
    parser.add_argument("--out", type=Path, default=HERE, help="where both files go")
    parser.add_argument("--note", default="", help="a sentence on the machine's load")
    given = parser.parse_args()
    raw, shown = given.out / "results.json", given.out / "RESULTS.md"
    stored = json.loads(raw.read_text(encoding="utf-8")) if given.page or given.only else {}
    if not given.page:
        stored |= _measure(given.only or PARTS, quick=given.quick) | {"note": given.note}
        raw.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    shown.write_text(page.write(stored), encoding="utf-8")
    print(shown.read_text(encoding="utf-8"))


def _measure(parts, *, quick):
    began, load = time.monotonic(), os.getloadavg()[0]
    results = {"quick": quick}
    for part in parts:
        results[part] = PARTS[part](quick)
        _say(part)
    with Crew() as crew:
        results["environment"] = crew.do(FREE, "machine", "describe", {}, now=True)[1][0]
    load = [round(load, 2), round(os.getloadavg()[0], 2)]
    return results | {"load": load, "minutes": round((time.monotonic() - began) / 60, 1)}


def _jobs(quick):
    return [_train(_settings(job, quick=quick), quick) for job in JOBS]


def _rank(quick):
    pairs = [(layout, way) for layout in (ONE_CORE, FREE) for way in RANK_WAYS]
    size = {"size": 512 if quick else 2048}
    with Crew() as crew:
        number = QUICK_ROUNDS if quick else RANK_ROUNDS
        return {**size, "layouts": rounds(crew, pairs, "rank", size, number)}


def _gate(quick):
    claims = "benchmarks/test_wave.py" if quick else "benchmarks"
    peak = gate.peak(claims)
    with Crew() as crew:
        number = QUICK_ROUNDS if quick else GATE_ROUNDS
        return {"peak": peak, **gate.measure(crew, number, claims)}


def _startup(quick):
    return startup.measure(QUICK_ROUNDS if quick else STARTUP_ROUNDS)


def _growth(quick):
    return growth.measure({"replicas": [2, 4], "width": [64, 128]} if quick else None)


PARTS = {
    "jobs": _jobs, "rank": _rank, "gate": _gate, "startup": _startup, "growth": _growth,
}  # fmt: skip


def _settings(job, *, quick):
    given = job | {"widths": list(job["widths"]), "seeds": list(job["seeds"])}
    return given | {"steps": QUICK_STEPS, "seeds": given["seeds"][:QUICK_SEEDS]} if quick else given


def _train(job, quick):
    pairs = [(layout, way) for layout, ways in LAYOUTS.items() for way in ways]
    with Crew() as crew:
        layouts = rounds(crew, pairs, "train", job, QUICK_ROUNDS if quick else ROUNDS)
    _say(f"{job['widths']} {job['optimizer']}")
    return {"job": job, "layouts": agreement.with_distances(layouts)}


def _say(what):
    print(f"{time.strftime('%H:%M:%S')} measured: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
