"""What no way can beat: a job's matrix products alone, and its optimizer's memory traffic alone."""

from itertools import pairwise

import numpy as np
import torch

from initcheck.training import chunks

STREAMS = {"SGD": 3, "Adam": 7}  # numbers read and written a parameter and step
HELD = {"SGD": 2, "Adam": 4}  # numbers kept a parameter: itself, gradient, two moments


def products(job):
    """Forward, for the weights and, but in the first layer, for the inputs; nothing else."""
    sizes = _chunks(job)
    calls = {size: _calls(job, size) for size in set(sizes)}

    def run():
        for size in sizes:
            for _ in range(job.steps):
                for a, b, out in calls[size]:
                    torch.bmm(a, b, out=out)
        return np.empty((0, job.steps))

    return run


def _calls(job, replicas):
    made = []
    for number, (inputs, outputs) in enumerate(pairwise(job.widths)):
        x = torch.rand(replicas, job.batch, inputs)
        weight = torch.rand(replicas, inputs, outputs)
        grad = torch.rand(replicas, job.batch, outputs)
        made += [(x, weight, torch.empty_like(grad)), (x.mT, grad, torch.empty_like(weight))]
        if number:
            made.append((grad, weight.mT, torch.empty_like(x)))
    return made


def traffic(job):
    """As many bytes as the optimizer moves, by the plainest kernel, over as large a memory."""
    sizes = _chunks(job)
    arrays = {
        size: torch.rand(2, size * job.parameters * HELD[job.optimizer] // 2) for size in sizes
    }
    # An addition in place of half of what is held to the other half moves 3 numbers for every 2.
    share = STREAMS[job.optimizer] / (3 * HELD[job.optimizer] / 2)

    def run():
        for size in sizes:
            a, b = arrays[size]
            part = round(share * job.steps)
            for _ in range(part):
                a.add_(b)
        return np.empty((0, job.steps))

    return run


def _chunks(job):
    """Replicas that this package trains at once, chunk by chunk."""
    parts = chunks(len(job.seeds), job.arm.network.fresh(0), "cpu")
    return [part.stop - part.start for part in parts]
