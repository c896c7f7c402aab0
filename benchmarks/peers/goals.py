"""The goals for speed and memory, what was measured, and what was tried for those not reached.

A goal is reached if the whole range between the quartiles of the rounds is on its good side.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.peers import names
from benchmarks.peers.agreement import is_same
from benchmarks.peers.names import EACH_CORE, FREE, ONE_CORE, OURS

# Layouts for each number of cores; the fastest one counts, for initcheck and for the other tool.
LAYOUTS = {"one core": (ONE_CORE,), "all cores": (EACH_CORE, FREE)}
SPEEDS = (  # tools, and how many times as fast as the best of them initcheck should be
    ((names.NOTEBOOK,), 8.0),
    ((names.PLAIN,), 4.0),
    (names.JAX, 1.0),
)
BOUND_SHARE, RANK_RATIO, STARTUP_MS = 0.6, 4.0, 50.0
GATE_SECONDS, GATE_BYTES = 60.0, 2e9

# What people tried to reach each kind of goal.
TRIED = {
    "speed": (
        "Tried: all parameters in one flat leaf (one optimizer call, one gradient); weights laid "
        "out so that none of the three products is transposed; a backward pass by hand; 8, 16 and "
        "32 replicas per chunk; processes instead of threads; images kept as bytes, which took 3 "
        "to 7 % less time, and batches gathered into one buffer, which made no difference. "
        "Neither of the last two is in use. torch.compile took 46 s to compile one step and was "
        "not faster. A step of 16 replicas took 3.1 ms on one core of an EPYC with AVX-512. Its "
        "products alone took 1.4 ms, Adam's kernel .35 ms and fetching images .22 ms. With nothing "
        "but these three, it would be 4.6 times as fast as the plain loop and 8.5 times as fast as "
        "the notebook's. The rest is reading weights that the optimizer has moved out of the "
        "cache, and some 40 short calls. JAX compiles a step into one program."
    ),
    "bound": (
        "Tried: chunks of one to all replicas; the fused optimizer on one flat leaf; gradients "
        "written in place. The rest is building the start, fetching images, biases, activations "
        "and the loss."
    ),
    "gate": (
        "Tried: arms with the same network and recipe trained together as replicas; every arm "
        "trained before the first claim needs it, in one forked process per core that has imported "
        "everything; starts computed once and measured while torch is imported; images with a "
        "quarter of the pixels for the claims that train longest; each probe's cost measured and "
        "cut. The rest, next to the bound below, is spread thin: no call except the products takes "
        "more than a tenth."
    ),
    "memory": "Tried: arms are freed as soon as they are judged.",
    "rank": (
        "Tried: the inertia of the shifted Gram matrix; the Gram product alone takes half the time."
    ),
    "startup": "Tried: torch, pandas, scipy.stats and matplotlib are imported only when needed.",
}


@dataclass(frozen=True)
class Goal:
    """A row of the table; ``reached`` is "yes", "by the median", "no" with or without a reason."""

    what: str
    target: str
    measured: str
    reached: str
    tried: str


@dataclass(frozen=True)
class Quartiles:
    """The median of some rounds, and the quartiles below and above it."""

    low: float
    median: float
    high: float

    def __format__(self, form) -> str:
        low, median, high = (format(x, form) for x in (self.low, self.median, self.high))
        return f"{median} ({low} to {high})"


def quartiles(values):
    """The quartiles of one value per round."""
    return Quartiles(*map(float, np.percentile(values, (25, 50, 75))))


def ratio(over, under):
    """The quartiles of one quotient per round."""
    return quartiles(np.divide(over, under))


def difference(more, less):
    """The quartiles of one difference per round, from seconds to milliseconds."""
    return quartiles(np.subtract(more, less) * 1e3)


def exponent(values, costs):
    """The slope of log cost over log value, by least squares."""
    return float(np.polyfit(np.log(values), np.log(np.maximum(costs, 1e-9)), 1)[0])


def bound(tools):
    """Lower bound of a training job: seconds of its products and its traffic, one per round."""
    return np.add(*(tools[name]["seconds"] for name in names.BOUNDS))


def gate_bound(seconds):
    """Lower bound of the gate: seconds of loading, products and traffic, one per round."""
    return np.sum([seconds[name] for name in (names.LOADING, *names.BOUNDS)], axis=0)


# --- goals ----------------------------------------------------------------------------------------


def goals(results):
    """All goals, from stored results."""
    small, wide = _job(results, 64), _job(results, 784)
    for cores, layouts in LAYOUTS.items():
        for tools, target in SPEEDS:
            yield _speed(small, tools, target, cores, layouts)
    for layout in (ONE_CORE, EACH_CORE):
        yield _share_of_bound(wide, layout)
    for layout in (ONE_CORE, FREE):
        yield _rank(results["rank"], layout)
    yield from _gate(results["gate"])
    yield _startup(results["startup"], names.IMPORT, names.PYTHON)
    yield _startup(results["startup"], names.WITH, names.WITHOUT)


def _job(results, first_layer):
    """The results of the job with Adam whose first hidden layer has this width."""
    return next(
        trained for trained in results["jobs"]
        if trained["job"]["widths"][1] == first_layer and trained["job"]["optimizer"] == "Adam"
    )  # fmt: skip


def _speed(trained, tools, target, cores, layouts):
    our_name, our_seconds = _fastest(trained, (OURS,), layouts)
    their_name, their_seconds = _fastest(trained, tools, layouts)
    what = f"small network, Adam, {cores}: times as fast as {' or '.join(tools)}"
    if their_seconds is None:
        return Goal(what, f"{target:g}", "its losses differ", "not judged", "")
    times = ratio(their_seconds, our_seconds)
    measured = f"{times:.2f}; {our_name} over {their_name}"
    return Goal(what, f"{target:g}", measured, _at_least(times, target), TRIED["speed"])


def _fastest(trained, tools, layouts):
    """Name with layout, and seconds, of the fastest tool whose losses are the same as ours."""
    candidates = [
        (f"{tool} ({names.shown(layout)})", trained["layouts"][layout][tool]["seconds"])
        for layout in layouts
        for tool in tools
        if is_same(tool, trained["job"], trained["layouts"][layout][tool]["distance"])
    ]
    return min(candidates, key=lambda each: np.median(each[1]), default=("", None))


def _share_of_bound(trained, layout):
    tools = trained["layouts"][layout]
    share = ratio(bound(tools), tools[OURS]["seconds"])
    what = f"wide network, Adam, {names.shown(layout)}: share of the bound"
    reached = _at_least(share, BOUND_SHARE)
    return Goal(what, f"{BOUND_SHARE:.0%}", f"{share:.0%}", reached, TRIED["bound"])


def _rank(measured, layout):
    tools = measured["layouts"][layout]
    times = ratio(tools[names.NUMPY[0]]["seconds"], tools[OURS]["seconds"])
    ranks = {float(tool["found"][0][0]) for tool in tools.values()}
    size = f"{measured['size']} x {measured['size']}"
    what = f"rank of {size}, {names.shown(layout)}: times as fast as numpy"
    reached = _at_least(times, RANK_RATIO) if len(ranks) == 1 else "no: the ranks differ"
    return Goal(what, f"{RANK_RATIO:g}", f"{times:.2f}", reached, TRIED["rank"])


def _startup(seconds, more, less):
    added = difference(seconds[more], seconds[less])
    what = f"{more}: added to {less}, torch not imported"
    reached = _at_most(added, STARTUP_MS)
    return Goal(what, f"{STARTUP_MS:g} ms", f"{added:.0f} ms", reached, TRIED["startup"])


def _gate(measured):
    for name in (names.GATE, names.NOTEBOOKS):
        seconds = quartiles(measured["seconds"][name])
        what = f"{name}, {measured['cores']} cores"
        reached = _at_most(seconds, GATE_SECONDS)
        yield Goal(what, f"{GATE_SECONDS:.0f} s", f"{seconds:.0f} s", reached, TRIED["gate"])
    peak = quartiles([measured["peak"]])
    what, reached = f"{names.GATE}: peak memory", _at_most(peak, GATE_BYTES)
    yield Goal(what, "2 GB", f"{peak.median / 1e9:.2f} GB", reached, TRIED["memory"])


def _at_most(measured, target):
    return _at_least(Quartiles(-measured.high, -measured.median, -measured.low), -target)


def _at_least(measured, target):
    if measured.low >= target:
        return "yes"
    return "by the median" if measured.median >= target else "no"
