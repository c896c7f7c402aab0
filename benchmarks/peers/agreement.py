"""Whether a tool did the same training: how far its losses are from ours, step by step."""

import numpy as np

from benchmarks.peers.names import ONE_CORE, OURS, SCIKIT_LEARN

FIRST, LAST = 5, 10  # steps
# Tolerated relative distances of the first losses and of the means of the last, by units of the
# first layer: some ten times the effect of rounding. Ours in float32 is 6e-8 and 7e-8 from ours in
# float64 with 64 units, and 6e-6 and 4e-5 with 784; JAX is 1e-7 and 1e-7, and 7e-6 and 2e-4, from
# ours. A learning rate off by 0.1 % moves the first losses by 5e-6 (SGD) and 2e-5 with 64 units and
# by 2e-4 with 784, which is beyond the tolerance.
ROUNDING = {64: (2e-6, 1e-5), 784: (5e-5, 1e-3)}
# scikit-learn adds Adam's epsilon before the bias correction, so steps differ if a gradient is
# below 1e-6. That is a difference of method, not of rounding; 1e-3 and 5e-3 were measured.
EPSILON = 5e-3, 2e-2


def tolerance(tool, job):
    """The largest tolerated distances of a tool's first and last losses from ours."""
    if (tool, job["optimizer"]) == (SCIKIT_LEARN, "Adam"):
        return EPSILON
    return ROUNDING[job["widths"][1]]


def is_same(tool, job, distances):
    """Whether a tool did the same training; always true without losses, as for a bound."""
    limits = tolerance(tool, job)
    return distances is None or all(d <= t for d, t in zip(distances, limits, strict=True))


def with_distances(layouts):
    """The layouts with two distances from our losses on one core in place of each tool's losses.

    A tool without losses gets None.
    """
    ours = together(layouts[ONE_CORE][OURS]["found"])
    return {
        layout: {
            tool: {
                "seconds": result["seconds"],
                "distance": distance(together(result["found"]), ours),
            }
            for tool, result in tools.items()
        }
        for layout, tools in layouts.items()
    }


def together(shares):
    """Losses ``(R, steps)`` in the order of seeds, from the shares that the seeds were dealt to."""
    losses = np.empty((sum(map(len, shares)), len(shares[0][0]) if shares[0] else 0))
    for part, share in enumerate(shares):
        losses[part :: len(shares)] = share or 0
    return losses


def distance(losses, ours):
    """The largest relative distances of the first losses, and of each replica's mean of the last.

    Effects of rounding grow during training, so single losses are compared only at the start.
    Returns None without losses.
    """
    if not losses.size:
        return None
    first = np.abs(losses[:, :FIRST] / ours[:, :FIRST] - 1).max()
    last = np.abs(losses[:, -LAST:].mean(1) / ours[:, -LAST:].mean(1) - 1).max()
    return [float(first), float(last)]
