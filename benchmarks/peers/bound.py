"""What no way can beat: the matrix products of a step alone, and its optimizer's memory traffic."""

import time
from itertools import pairwise

import torch

STREAMS = {"SGD": 3, "Adam": 7}  # numbers read and written a parameter and step
REPEATS = 7


def seconds_a_step(job):
    """Seconds of one replica's step on one core: products, and bytes over measured bandwidth."""
    return products(job), STREAMS[job.optimizer] * 4 * job.parameters / bandwidth(job)


def products(job):
    """Forward, for the weights and, but in the first layer, for the inputs."""
    calls = []
    for number, (inputs, outputs) in enumerate(pairwise(job.widths)):
        x, weight = torch.rand(job.batch, inputs), torch.rand(inputs, outputs)
        grad = torch.rand(job.batch, outputs)
        y, for_weight = torch.empty_like(grad), torch.empty_like(weight)
        calls += [(x, weight, y), (x.T, grad, for_weight)]
        if number:
            calls.append((grad, weight.T, torch.empty_like(x)))

    def step():
        for a, b, out in calls:
            torch.mm(a, b, out=out)

    return _best(step)


def bandwidth(job):
    """Bytes a second, read and written, of a sum over as many numbers as a replica has."""
    a, b = torch.rand(job.parameters), torch.rand(job.parameters)
    return 3 * 4 * job.parameters / _best(lambda: a.add_(b))


def _best(call):
    """Shortest of several means: a bound is what the machine can do undisturbed."""
    torch.set_num_threads(1)
    shortest = float("inf")
    for _ in range(REPEATS):
        began = time.perf_counter()
        for _ in range(10):
            call()
        shortest = min(shortest, (time.perf_counter() - began) / 10)
    return shortest
