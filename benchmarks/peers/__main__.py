"""Times all tools in turns, stores the raw seconds, and writes the page from them.

``python -m benchmarks.peers [--quick]``; ``--page`` only writes the page again, ``--only PART``
measures one part again. Torch is not imported here, because the peak memory of a child process
starts at that of its parent.
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
# So many steps that building the starts, which every tool has to do, takes a small part.
JOBS = (
    {"widths": SMALL, "optimizer": "Adam", "batch": 32, "steps": 60, "seeds": range(16)},
    {"widths": SMALL, "optimizer": "SGD", "batch": 32, "steps": 60, "seeds": range(16)},
    {"widths": WIDE, "optimizer": "Adam", "batch": 64, "steps": 40, "seeds": range(2)},
)
ROUNDS, RANK_ROUNDS, STARTUP_ROUNDS, GATE_ROUNDS = 5, 4, 21, 3
QUICK_STEPS, QUICK_SEEDS, QUICK_ROUNDS = 5, 2, 1

# One process on all cores is timed only for tools that gain from a second thread.
LAYOUTS = {
    ONE_CORE: names.TOOLS + names.BOUNDS,
    EACH_CORE: names.TOOLS + names.BOUNDS,
    FREE: (names.NOTEBOOK, names.PLAIN, names.VMAP, *names.JAX, names.OURS),
}
RANK_TOOLS = (names.OURS, *names.NUMPY)


def main():
    """Measure everything or some parts, then write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="few steps, to check that everything runs"
    )
    parser.add_argument("--page", action="store_true", help="measure nothing, only write the page")
    parser.add_argument("--only", action="append", choices=PARTS, metavar="PART",
                        help=f"measure only this part; repeatable: {', '.join(PARTS)}")  # fmt: skip
    parser.add_argument("--out", type=Path, default=HERE, help="folder of both files")
    parser.add_argument(
        "--note", default="", help="a sentence for the page, such as on the machine's load"
    )
    options = parser.parse_args()
    raw, text = options.out / "results.json", options.out / "RESULTS.md"
    stored = json.loads(raw.read_text(encoding="utf-8")) if options.page or options.only else {}
    if not options.page:
        stored |= _measure(options.only or PARTS, quick=options.quick) | {"note": options.note}
        raw.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    text.write_text(page.write(stored), encoding="utf-8")
    print(text.read_text(encoding="utf-8"))


def _measure(parts, *, quick):
    began, load = time.monotonic(), os.getloadavg()[0]
    results = {"quick": quick}
    for part in parts:
        results[part] = PARTS[part](quick)
        _log(part)
    with Crew() as crew:
        results["environment"] = crew.run(FREE, "machine", "describe", {}, now=True)[1][0]
    load = [round(load, 2), round(os.getloadavg()[0], 2)]
    return results | {"load": load, "minutes": round((time.monotonic() - began) / 60, 1)}


def _jobs(quick):
    return [_train(_settings(job, quick=quick), quick) for job in JOBS]


def _rank(quick):
    pairs = [(layout, tool) for layout in (ONE_CORE, FREE) for tool in RANK_TOOLS]
    size = {"size": 512 if quick else 2048}
    with Crew() as crew:
        count = QUICK_ROUNDS if quick else RANK_ROUNDS
        return {**size, "layouts": rounds(crew, pairs, "rank", size, count)}


def _gate(quick):
    claims = "benchmarks/test_wave.py" if quick else "benchmarks"
    peak = gate.peak(claims)
    with Crew() as crew:
        count = QUICK_ROUNDS if quick else GATE_ROUNDS
        return {"peak": peak, **gate.measure(crew, count, claims)}


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
    pairs = [(layout, tool) for layout, tools in LAYOUTS.items() for tool in tools]
    with Crew() as crew:
        layouts = rounds(crew, pairs, "train", job, QUICK_ROUNDS if quick else ROUNDS)
    _log(f"{job['widths']} {job['optimizer']}")
    return {"job": job, "layouts": agreement.with_distances(layouts)}


def _log(part):
    print(f"{time.strftime('%H:%M:%S')} measured: {part}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
