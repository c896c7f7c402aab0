"""RESULTS.md, written from stored results only."""

import numpy as np

from benchmarks.peers import goals, names
from benchmarks.peers.agreement import FIRST, LAST, is_same, tolerance
from benchmarks.peers.names import EACH_CORE, FREE, ONE_CORE, OURS
from initcheck.files.templates import table

LAYOUTS = {
    ONE_CORE: "One core: all replicas in one process with one thread",
    EACH_CORE: "One process per core: each with one thread and its share of the replicas",
    FREE: "One process, all cores: as many threads as each library starts",
}
HOW = f"""## How it was measured

Written from `results.json` by `python -m benchmarks.peers`, which `nox -s peers` installs and runs.
All tools start from the same weights and see the same images in the same order, on the embedded
digits. They take turns in processes that were started and warmed up before; every second round runs
in reverse order. Times include building the starts, but neither compiling nor loading data. Figures
are medians over rounds (lower to upper quartile); ratios are computed round by round.

Losses are compared with ours on one core: the first {FIRST} step by step, the last {LAST} as the
mean of each replica. A tool whose losses differ is listed without a rank.

The methods differ in some points. scikit-learn adds Adam's epsilon before the bias correction,
checks its inputs at every `partial_fit`, and starts from weights that replace its own. skorch
trains one epoch of exactly these batches and keeps its history. Both train one replica after the
other, as the notebook's loop and the plain loop do.
"""
BOUND = """The bound is the time of the same matrix products alone, plus the time to move as many
bytes as the optimizer reads and writes (3 numbers per parameter for SGD, 7 for Adam). The second
time is that of in-place additions over as much memory as the optimizer holds. Both were measured in
the same turns."""


def write(results):
    """The whole page."""
    parts = [_head(results), _goals(results), HOW, *map(_job, results["jobs"])]
    parts += [_gate(results["gate"]), _rank(results["rank"]), _startup(results["startup"])]
    parts.append(_growth(results["growth"]))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _head(results):
    machine = results["environment"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    warning = "**A quick run with few rounds: the figures mean nothing.** " * results["quick"]
    return f"""# The same training in other tools

{warning}{machine["date"]}, {machine["hardware"]} ({machine["capability"]}),
{machine["cores"]} cores, {machine["platform"]}, Python {machine["python"]}; {versions}.
The load average was {results["load"][0]} at the start and {results["load"][1]} at the end of
{results["minutes"]} minutes. {results["note"]}"""


def _goals(results):
    every = list(goals.goals(results))
    rows = [(goal.what, goal.target, goal.measured, goal.reached) for goal in every]
    missed = {}
    for goal in every:
        if goal.reached != "yes":
            missed.setdefault(goal.tried, []).append(goal.what)
    parts = ["## Goals", table(("goal", "target", "measured", "reached"), rows)]
    if missed:
        lines = [f"- {'; '.join(what)}. {tried}" for tried, what in missed.items()]
        parts += ["Not reached:", "\n".join(lines)]
    return "\n\n".join(parts)


def _job(trained):
    job, layouts = trained["job"], trained["layouts"]
    rounds = len(layouts[ONE_CORE][OURS]["seconds"])
    title = (
        f"## {'-'.join(map(str, job['widths']))}, {job['optimizer']}, batch {job['batch']}\n\n"
        f"{len(job['seeds'])} replicas, {job['steps']} steps, {rounds} rounds."
    )
    return "\n\n".join([title, *(_layout(job, name, tools) for name, tools in layouts.items())])


def _layout(job, layout, tools):
    timed = {tool: result for tool, result in tools.items() if tool not in names.BOUNDS}
    by_speed = sorted(timed.items(), key=lambda item: np.median(item[1]["seconds"]))
    by_speed.sort(key=lambda item: not _same(job, *item))
    rows = [_row(job, tool, result, tools[OURS]) for tool, result in by_speed]
    head = (
        "tool",
        "replica-steps per second",
        "its time over ours",
        "losses differ by, first; last",
    )
    return "\n\n".join([f"### {LAYOUTS[layout]}", table(head, rows), *_bound(job, tools)])


def _same(job, tool, result):
    return is_same(tool, job, result["distance"])


def _row(job, tool, result, ours):
    speed = len(job["seeds"]) * job["steps"] / np.median(result["seconds"])
    ratio = goals.ratio(result["seconds"], ours["seconds"])
    first, last = result["distance"]
    distance = f"{first:.0e}; {last:.0e}"
    if not _same(job, tool, result):
        limits = "; ".join(f"{limit:.0e}" for limit in tolerance(tool, job))
        return tool, "losses differ", "not ranked", f"{distance} (tolerated {limits})"
    return tool, f"{speed:,.0f}", f"{ratio:.2f}", distance


def _bound(job, tools):
    """A paragraph on the lower bound, if it was measured in this layout."""
    if names.PRODUCTS not in tools:
        return
    steps = len(job["seeds"]) * job["steps"] / 1e3
    products, traffic = (
        goals.quartiles(tools[name]["seconds"]).median / steps for name in names.BOUNDS
    )
    share = goals.ratio(goals.bound(tools), tools[OURS]["seconds"])
    yield (
        f"{BOUND}\nThe two take {products:.3f} and {traffic:.3f} ms per replica-step: initcheck "
        f"runs at {share:.0%} of the bound."
    )


def _gate(measured):
    seconds, cores = measured["seconds"], measured["cores"]
    rows = [(name, f"{goals.quartiles(took):.1f}") for name, took in seconds.items()]
    bound = goals.gate_bound(seconds)
    rows.append(("bound: loading, products and traffic", f"{goals.quartiles(bound):.1f}"))
    share = goals.ratio(bound, seconds[names.GATE])
    busy = goals.quartiles(measured["processor"])
    return (
        f"## The gate itself, {cores} cores\n\n{table(('what', 'seconds'), rows)}\n\n"
        f"All processes of the whole gate together take {busy:.0f} s of processor time. The bound "
        "counts loading once, on one core. It adds the products and the traffic of all perceptrons "
        f"({measured['bounded']:,} of {measured['steps']:,} replica-steps), shared by the cores. "
        f"The bound is {share:.0%} of the whole gate's time."
    )


def _rank(measured):
    rows = [
        (names.shown(layout), tool, f"{goals.quartiles(result['seconds']):.2f}",
         f"{goals.ratio(result['seconds'], tools[OURS]['seconds']):.2f}",
         ", ".join(str(int(rank)) for rank in result["found"][0]))
        for layout, tools in measured["layouts"].items()
        for tool, result in tools.items()
    ]  # fmt: skip
    text = table(("layout", "tool", "seconds", "its time over ours", "rank"), rows)
    return f"## Rank of a {measured['size']} x {measured['size']} residual\n\n{text}"


def _startup(seconds):
    rows = [
        (name, f"{goals.quartiles(np.multiply(took, 1e3)):.0f}") for name, took in seconds.items()
    ]
    return (
        "## Start-up\n\nFresh processes take turns. pytest runs in a project that does not use "
        "initcheck, with one test, which fails if torch was imported.\n\n"
        + table(("process", "milliseconds"), rows)
    )


def _growth(measured):
    rows = []
    for axis, points in measured.items():
        values, seconds, mib = zip(*points, strict=True)
        rows.append((
            axis, _listed(values, "d"),
            _listed(seconds, ".2f"), f"{goals.exponent(values, seconds):.2f}",
            _listed(mib, ".0f"), f"{goals.exponent(values, mib):z.2f}",
        ))  # fmt: skip
    head = ("varied", "values", "seconds", "exponent", "MiB added to the peak", "exponent")
    return (
        "## Growth\n\nOne training job of initcheck with Adam, batch 32, a 784-64-64-10 network, "
        "8 replicas and 50 steps, of which one is varied; each point runs in its own process. The "
        "exponent is the slope of log cost over log value. Costs that do not grow (images, "
        "dispatch) lower it.\n\n" + table(head, rows)
    )


def _listed(values, form):
    return ", ".join(format(value, form) for value in values)
