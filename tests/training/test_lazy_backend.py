"""On a backend that compiles graphs, more steps need no more compilations.

Torch's own lazy backend counts them without other hardware. It is started in a process that the
other tests do not share, and stands in for XLA: both compile a graph that they have not seen.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
from types import SimpleNamespace
import torch._lazy.metrics
import torch._lazy.ts_backend
from torch import nn
from initcheck import SGD, Network, Recipe
from initcheck.devices import backends, runtime
from initcheck.training.train import train
from tests.helpers import toy

torch._lazy.ts_backend.init()
runtime.LAZY = {"lazy"}
mark_step = torch._lazy.mark_step
backends.module_of = lambda kind: SimpleNamespace(sync=mark_step, synchronize=lambda _: mark_step())
network, engine = {
    "stacked": (
        toy.sequential(
            nn.Flatten, lambda: nn.Linear(20, 6), nn.LeakyReLU, lambda: nn.Linear(6, 4)
        ), "ensemble",
    ),
    "plain": (Network("residual", toy.Residual), "module"),
}[sys.argv[1]]


def losses(steps, device):
    arm = toy.default_arm(network, Recipe(SGD(lr=0.1), batch=8, steps=steps))
    return train(arm, [1, 2], toy.data(), device=device, engine=engine).losses


losses(4, "lazy")
torch._lazy.metrics.reset()
twelve = losses(12, "lazy")
compiled = torch._lazy.metrics.counter_value("UncachedCompile") or 0
torch.testing.assert_close(twelve, losses(12, "cpu"))
print("compiled", compiled)
"""
FEW = 3  # new graphs of 12 steps after 4; the last graph of a run may hold other pending work


@pytest.mark.parametrize("loop", ["stacked", "plain"])
def test_twelve_steps_compile_hardly_more_than_four(loop):
    """With a graph per step there would be eight more at least."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, loop], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) <= FEW
