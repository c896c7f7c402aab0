"""RESULTS.md: a pure function from stored results to text."""

import numpy as np

from benchmarks.peers import goals, names
from benchmarks.peers import goals as figures
from benchmarks.peers.agreement import FIRST, LAST, is_same, tolerance
from benchmarks.peers.names import EACH_CORE, FREE, ONE_CORE, OURS

LAYOUTS = {
    ONE_CORE: "One core: all replicas in one process with one thread",
    EACH_CORE: "A process a core: each with one thread and its share of the replicas",
    FREE: "One process, all cores: threads as each library has them",
}
HOW = f"""## How

Written from `results.json` by `python -m benchmarks.peers`, which `nox -s peers` installs and runs.
All ways start from the same weights and take the same images in the same order, on the embedded
digits. They take turns in processes that were started and warmed up before; every other round goes
backwards. Times include building the starts, not compiling, and not loading data. Figures are
medians (lower to upper quartile) of rounds; ratios are taken round by round.

Losses are compared with ours on one core: the first {FIRST} one by one, the last {LAST} as each
replica's mean. A way whose losses are off is listed without a rank.

What differs by method: scikit-learn adds Adam's epsilon before the bias correction, checks its
inputs at every `partial_fit`, and starts from weights that were put in place of its own. skorch
trains one epoch of exactly these batches, and keeps its history. Both train one replica after the
other, as the notebook's and the plain loop do.
"""
BOUND = """The bound is the time of the same matrix products alone plus that of as many bytes as the
optimizer reads and writes (3 numbers a parameter for SGD, 7 for Adam) in additions in place over as
much memory as it holds, measured in the same turns."""


def write(results):
    """The whole page."""
    parts = [_head(results), _goals(results), HOW, *map(_job, results["jobs"])]
    parts += [_gate(results["gate"]), _rank(results["rank"]), _startup(results["startup"])]
    parts.append(_growth(results["growth"]))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _head(results):
    machine = results["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    warning = "**A quick look with few rounds: the figures mean nothing.** " * results["quick"]
    return f"""# The same training, side by side

{warning}{machine["date"]}, {machine["hardware"]} ({machine["capability"]}),
{machine["cores"]} cores, {machine["platform"]}, Python {machine["python"]}; {versions}.
Load average {results["load"][0]} at the start and {results["load"][1]} at the end of
{results["minutes"]} minutes. {results["note"]}"""


def _goals(results):
    every = list(goals.every(results))
    rows = [(goal.what, goal.reach, goal.found, goal.reached) for goal in every]
    table = _table(("goal", "reach", "found", "reached"), rows)
    missed = {}
    for goal in every:
        if goal.reached != "yes":
            missed.setdefault(goal.tried, []).append(goal.what)
    told = [f"- {'; '.join(what)}. {tried}" for tried, what in missed.items()]
    return "\n\n".join(
        ["## Goals", table, *(["Not reached:\n\n" + "\n".join(told)] if told else [])]
    )


def _job(trained):
    job, layouts = trained["job"], trained["layouts"]
    rounds = len(layouts[ONE_CORE][OURS]["seconds"])
    title = (
        f"## {'-'.join(map(str, job['widths']))}, {job['optimizer']}, batch {job['batch']}\n\n"
        f"{len(job['seeds'])} replicas, {job['steps']} steps, {rounds} rounds."
    )
    return "\n\n".join([title, *(_layout(job, name, ways) for name, ways in layouts.items())])


def _layout(job, layout, ways):
    timed = {way: result for way, result in ways.items() if way not in names.BOUNDS}
    by_speed = sorted(timed.items(), key=lambda item: np.median(item[1]["seconds"]))
    by_speed.sort(key=lambda item: not _same(job, *item))
    rows = [_row(job, way, result, ways[OURS]) for way, result in by_speed]
    columns = ("way", "replica-steps a second", "its time over ours", "losses off by, first; last")
    return "\n\n".join([f"### {LAYOUTS[layout]}", _table(columns, rows), *_bound(job, ways)])


def _same(job, way, result):
    return is_same(way, job, result["distance"])


def _row(job, way, result, ours):
    speed = len(job["seeds"]) * job["steps"] / np.median(result["seconds"])
    ratio = figures.ratio(result["seconds"], ours["seconds"])
    first, last = result["distance"]
    off = f"{first:.0e}; {last:.0e}"
    if not _same(job, way, result):
        limits = "; ".join(f"{limit:.0e}" for limit in tolerance(way, job))
        return way, "other work", "not ranked", f"{off} (tolerated {limits})"
    return way, f"{speed:,.0f}", f"{ratio:.2f}", off


def _bound(job, ways):
    if names.PRODUCTS not in ways:
        return
    work = len(job["seeds"]) * job["steps"] / 1e3
    products, traffic = (figures.of(ways[name]["seconds"]).median / work for name in names.BOUNDS)
    share = figures.ratio(goals.bound(ways), ways[OURS]["seconds"])
    yield (
        f"{BOUND}\nHere {products:.3f} and {traffic:.3f} ms a replica-step: ours runs at "
        f"{share:.0%} of the bound."
    )


def _gate(measured):
    seconds, cores = measured["seconds"], measured["cores"]
    rows = [(way, f"{figures.of(took):.1f}") for way, took in seconds.items()]
    bound = goals.gate_bound(seconds)
    rows.append(("bound: loading, products and traffic", f"{figures.of(bound):.1f}"))
    share = figures.ratio(bound, seconds[names.GATE])
    busy = figures.of(measured["processor"])
    return (
        f"## The gate itself, {cores} cores\n\n{_table(('what', 'seconds'), rows)}\n\n"
        f"All processes of the whole gate together take {busy:.0f} s of processor time. Loading is "
        "done once, on one core; the products and the traffic are those of all its perceptrons "
        f"({measured['bounded']:,} of {measured['steps']:,} replica-steps), shared by the cores. "
        f"The bound is {share:.0%} of the whole gate's time."
    )


def _rank(measured):
    rows = [
        (layout, way, f"{figures.of(result['seconds']):.2f}",
         f"{figures.ratio(result['seconds'], ways[OURS]['seconds']):.2f}",
         ", ".join(str(int(answer)) for answer in result["found"][0]))
        for layout, ways in measured["layouts"].items()
        for way, result in ways.items()
    ]  # fmt: skip
    table = _table(("where", "way", "seconds", "its time over ours", "rank found"), rows)
    return f"## Rank of a {measured['size']} x {measured['size']} residual\n\n{table}"


def _startup(seconds):
    rows = [(way, f"{figures.of(np.multiply(took, 1e3)):.0f}") for way, took in seconds.items()]
    return (
        "## Start-up\n\nFresh processes in turns; the project is foreign, with one test, which "
        "fails if torch is imported.\n\n" + _table(("process", "milliseconds"), rows)
    )


def _growth(measured):
    rows = []
    for axis, points in measured.items():
        values, seconds, mib = zip(*points, strict=True)
        rows.append((
            axis, _list(values, "d"),
            _list(seconds, ".2f"), f"{figures.exponent(values, seconds):.2f}",
            _list(mib, ".0f"), f"{figures.exponent(values, mib):z.2f}",
        ))  # fmt: skip
    columns = ("varied", "values", "seconds", "exponent", "MiB added to the peak", "exponent")
    return (
        "## Growth\n\nOurs, one job, Adam, batch 32, around 784-64-64-10, 8 replicas, 50 steps; "
        "each point in a process of its own. The exponent is the slope of log cost over log value; "
        "what does not grow (images, dispatch) flattens it.\n\n" + _table(columns, rows)
    )


def _list(values, form):
    return ", ".join(format(value, form) for value in values)


def _table(columns, rows):
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
