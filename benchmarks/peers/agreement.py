"""Was it the same work? How far a way's losses lie from ours, step for step."""

import numpy as np

from benchmarks.peers.names import ONE_CORE, OURS, SCIKIT_LEARN

FIRST, LAST = 5, 10  # steps
# Relative distance of the first losses, and of the means of the last, by units of the first layer:
# some ten times what rounding does. After the same steps ours in float32 lies 6e-8 and 7e-8 from
# ours in float64 with 64 units and 6e-6 and 4e-5 with 784; JAX lies 1e-7 and 1e-7, and 7e-6 and
# 2e-4, from ours. A learning rate off by 0.1 % moves the first losses by 5e-6 (SGD) and 2e-5, and
# by 2e-4, which is too far.
ROUNDING = {64: (2e-6, 1e-5), 784: (5e-5, 1e-3)}
# Where Adam's epsilon is added before its bias correction, steps differ wherever a gradient is
# below 1e-6: a difference of method, not of rounding; 1e-3 and 5e-3 were seen.
EPSILON = 5e-3, 2e-2


def tolerance(way, job):
    """How far the first and the last losses of a way may lie from ours."""
    if (way, job["optimizer"]) == (SCIKIT_LEARN, "Adam"):
        return EPSILON
    return ROUNDING[job["widths"][1]]


def is_same(way, job, distances):
    """Whether a way did the same work; what has no losses, as a bound, is not asked."""
    limits = tolerance(way, job)
    return distances is None or all(d <= t for d, t in zip(distances, limits, strict=True))


def with_distances(layouts):
    """Each way's losses replaced by two distances from ours on one core, None where it has none."""
    ours = together(layouts[ONE_CORE][OURS]["found"])
    return {
        layout: {
            way: {
                "seconds": result["seconds"],
                "distance": distance(together(result["found"]), ours),
            }
            for way, result in ways.items()
        }
        for layout, ways in layouts.items()
    }


def together(shares):
    """Losses ``(R, steps)``, in the order of seeds, of shares that were dealt out in turn."""
    losses = np.empty((sum(map(len, shares)), len(shares[0][0]) if shares[0] else 0))
    for part, share in enumerate(shares):
        losses[part :: len(shares)] = share or 0
    return losses


def distance(losses, ours):
    """Largest relative distance of the first losses, and of each replica's mean of the last.

    Rounding grows as training goes on, so single losses are compared at the start only.
    """
    if not losses.size:
        return None
    first = np.abs(losses[:, :FIRST] / ours[:, :FIRST] - 1).max()
    last = np.abs(losses[:, -LAST:].mean(1) / ours[:, -LAST:].mean(1) - 1).max()
    return [float(first), float(last)]
