"""Low precision: in bfloat16 without master weights, a weight of one is too coarse to be moved.

The numbers next to one are 2^-8 below it and 2^-7 above it, and Adam's steps are smaller than half
of that. Written as 1 + g with g at zero, or in float32, the same gain moves.
"""

from collections import OrderedDict
from functools import partial

import torch
from torch import nn

from initcheck import Adam, Arm, Network, Recipe, claim
from initcheck.initializers import torch_default

WIDTH = 64
LR = 3e-4  # lr (1 - beta1) / sqrt(1 - beta2) = 9.5e-4 bounds a step; half of 2^-8 is 2.0e-3
STEPS = 16


class Gained(nn.Module):
    """Divides by the root mean square and multiplies by a gain, which is stored less ``offset``."""

    def __init__(self, offset):
        super().__init__()
        self.offset = offset
        self.gain = nn.Parameter(torch.full((WIDTH,), 1.0 - offset))

    def forward(self, x):
        """The normed input, times its gain."""
        return x * x.square().mean(-1, keepdim=True).rsqrt() * (self.offset + self.gain)


def gained(offset):
    """784-64-10 with tanh units that are normed and multiplied by a gain, which is one."""
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(), hidden=nn.Linear(784, WIDTH), tanh=nn.Tanh(),
            norm=Gained(offset), output=nn.Linear(WIDTH, 10),
        )
    )  # fmt: skip


NAME = "mlp 784-64-10 tanh, normed, gain"
AS_ONE = Network(f"{NAME} g = 1", partial(gained, 0.0))
AS_OFFSET = Network(f"{NAME} 1 + g, g = 0", partial(gained, 1.0))
COARSE = Recipe(Adam(lr=LR), batch=32, steps=STEPS, dtype="bfloat16")
FINE = Recipe(Adam(lr=LR), batch=32, steps=STEPS)
TINY = Recipe(Adam(lr=1e-9), batch=32, steps=STEPS)


def gains_moved(trained):
    """Number of gains that are no longer what they were at the start, one per seed."""
    return (trained.parameters["norm.gain"].cpu() != trained.start["norm.gain"]).sum(1).double()


def gains_left(trained):
    """Number of gains that are still what they were at the start, one per seed."""
    return WIDTH - gains_moved(trained)


@claim(
    source="Kingma and Ba 2014, section 2.1; speculators pull request 765; c-bf16-unit-gains",
    kind="exact",
)
def test_unit_gains_stay_in_bfloat16(verdict):
    """In bfloat16, a norm's gains of one never move under Adam at 3e-4; as 1 + g, all do.

    Without master weights, each step of less than half the distance to the next number is rounded
    away. In float32 every gain moves at 3e-4, and at 1e-9, below half of 2^-24, none does.
    """
    verdict.holds(
        gains_moved,
        treated=Arm(AS_ONE, torch_default, COARSE, name="g = 1, bfloat16"),
        control=Arm(AS_OFFSET, torch_default, COARSE, name="1 + g, bfloat16"),
    )
    verdict.holds(
        gains_left,
        treated=Arm(AS_ONE, torch_default, FINE, name="g = 1, float32"),
        control=Arm(AS_ONE, torch_default, TINY, name="g = 1, float32, lr 1e-9"),
    )
