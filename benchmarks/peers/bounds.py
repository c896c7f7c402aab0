"""Lower bounds that no tool can beat: a job's matrix products and its optimizer's memory traffic.

The same bounds are measured for everything that the gate trains.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from benchmarks.peers.names import BOUNDS
from initcheck import mlp
from initcheck.arms import DTYPES
from initcheck.training.perceptrons import NARROW
from initcheck.training.train import chunks

# Numbers read and written per parameter and step; other optimizers count as SGD, the least.
STREAMS = {"SGD": 3, "momentum": 5, "RMSprop": 5, "Adam": 7, "AdamW": 7}
# Numbers held per parameter: itself, its gradient and its moments.
HELD = {"SGD": 2, "momentum": 3, "RMSprop": 3, "Adam": 4, "AdamW": 4}


def products(job):
    """Only the products of a step: forward, gradients of weights, gradients of hidden inputs."""
    sizes = _chunks(job)
    calls = {size: _operands(job.widths, job.batch, size) for size in set(sizes)}

    def run():
        for size in sizes:
            for _ in range(job.steps):
                for a, b, out in calls[size]:
                    torch.bmm(a, b, out=out)
        return np.empty((0, job.steps))

    return run


def _operands(widths, batch, replicas, dtype=torch.float32):
    operands = []
    for number, (inputs, outputs) in enumerate(pairwise(widths)):
        x = torch.rand(replicas, batch, inputs, dtype=dtype)
        weight = torch.rand(replicas, inputs, outputs, dtype=dtype)
        grad = torch.rand(replicas, batch, outputs, dtype=dtype)
        products = [(x, weight, torch.empty_like(grad)), (x.mT, grad, torch.empty_like(weight))]
        if outputs <= NARROW:  # initcheck stores these weights transposed, several times faster
            transposed = weight.mT.contiguous()
            products = [
                (x, transposed.mT, torch.empty_like(grad)),
                (grad.mT, x, torch.empty_like(transposed)),
            ]
            weight = transposed.mT
        if number:
            products.append((grad, weight.mT, torch.empty_like(x)))
        operands += products
    return operands


def traffic(job):
    """Move as many bytes as the optimizer does, by in-place additions over as much memory."""
    sizes = _chunks(job)
    arrays = {size: _halves(size * job.parameters, job.optimizer) for size in sizes}

    def run():
        for size in sizes:
            a, b = arrays[size]
            for _ in range(_additions(job.steps, job.optimizer)):
                a.add_(b)
        return np.empty((0, job.steps))

    return run


def _halves(parameters, optimizer, dtype=torch.float32):
    """Two arrays that together are as large as what the optimizer holds."""
    return torch.rand(2, parameters * HELD[optimizer] // 2, dtype=dtype)


def _additions(steps, optimizer):
    """How many additions move as much as the optimizer; each moves 3 numbers for 2 it holds."""
    return round(steps * STREAMS[optimizer] / (3 * HELD[optimizer] / 2))


def _chunks(job):
    """The numbers of replicas that initcheck trains at once, chunk by chunk."""
    return _sizes(len(job.seeds), job.arm.network)


def _sizes(replicas, network):
    parts = chunks(replicas, network.fresh(0), "cpu")
    return [part.stop - part.start for part in parts]


# --- the gate -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gate:
    """One core's share of all perceptrons that the gate trains; ``gate_plan`` lists their arms."""

    arms: tuple[dict, ...]
    cores: int

    @property
    def steps(self):
        """Steps of each kind of chunk on this core: ``{(widths, batch, dtype, optimizer, R): n}``.

        Each arm is counted alone. The gate trains some of them together, which changes the size of
        chunks but no product.
        """
        counter = Counter()
        for arm in self.arms:
            kind = tuple(arm["widths"]), arm["batch"], DTYPES[arm["dtype"]], _optimizer(arm)
            for size in _sizes(arm["replicas"], mlp(*arm["widths"])):
                counter[*kind, size] += arm["steps"]
        return {kind: -(-steps // self.cores) for kind, steps in counter.items()}


def _optimizer(arm):
    if arm["momentum"]:
        return "momentum"
    return arm["optimizer"] if arm["optimizer"] in STREAMS else "SGD"


def _gate_products(gate):
    work = [
        (_operands(widths, batch, size, dtype), steps)
        for (widths, batch, dtype, _, size), steps in gate.steps.items()
    ]

    def run():
        for calls, steps in work:
            for _ in range(steps):
                for a, b, out in calls:
                    torch.bmm(a, b, out=out)
        return np.empty((0, 0))

    return run


def _gate_traffic(gate):
    work = [
        (_halves(size * sum((i + 1) * o for i, o in pairwise(widths)), optimizer, dtype),
         _additions(steps, optimizer))
        for (widths, _, dtype, optimizer, size), steps in gate.steps.items()
    ]  # fmt: skip

    def run():
        for (a, b), additions in work:
            for _ in range(additions):
                a.add_(b)
        return np.empty((0, 0))

    return run


TOOLS = dict(zip(BOUNDS, (_gate_products, _gate_traffic), strict=True))
