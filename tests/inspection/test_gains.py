"""Check ``scale``: gains of norms that are drawn as weights are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from initcheck import inspect_model
from initcheck.inspection import gains


class Root(nn.Module):
    """A root mean square norm without torch's class; `stored` is what its gain is less."""

    def __init__(self, stored=0.0):
        super().__init__()
        self.stored = stored
        self.weight = nn.Parameter(torch.empty(32).normal_(0, 0.02))

    def forward(self, x):
        return (
            x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * (self.stored + self.weight)
        )


class RootNorm(Root):
    """The same by a name that says so."""


class BrokenNorm(Root):
    """A norm that cannot be called with a tensor alone."""

    def forward(self, x):
        raise TypeError("it needs a mask")


def drawn(norm, mean=0.0, std=0.02):
    nn.init.normal_(norm.weight, mean, std)
    return norm


def frozen():
    norm = drawn(nn.LayerNorm(32))
    norm.weight.requires_grad_(False)
    return nn.Sequential(norm, nn.Linear(32, 4))


def found(build):
    return [each for each in inspect_model(build).findings if each.check == "scale"]


FAULTY = {
    "layer": lambda: drawn(nn.LayerNorm(32)),
    "root": lambda: drawn(nn.RMSNorm(32)),
    "group": lambda: drawn(nn.GroupNorm(4, 32)),
    "batch": lambda: drawn(nn.BatchNorm2d(32)),
    "by hand": RootNorm,
    "wide": lambda: drawn(nn.LayerNorm(8), std=1.0),
}
SOUND = {
    "ones": lambda: nn.LayerNorm(32),
    "zeros": lambda: drawn(nn.LayerNorm(32), std=0.0),
    "around one": lambda: drawn(nn.BatchNorm2d(32), mean=1.0),
    "less one": lambda: RootNorm(stored=1.0),
    "no norm": Root,
    "unknown": BrokenNorm,
    "frozen": frozen,
}


@pytest.mark.parametrize("build", FAULTY.values(), ids=FAULTY)
def test_a_gain_that_was_drawn_around_zero_is_found(build):
    (finding,) = found(build)
    assert (finding.severity, finding.parameters) == ("warn", ("weight",))
    assert finding.message.startswith("Gains of norms were drawn around zero")


@pytest.mark.parametrize("build", SOUND.values(), ids=SOUND)
def test_another_gain_is_sound(build):
    assert not found(build)


def test_the_size_is_named():
    (finding,) = found(FAULTY["layer"])
    assert finding.value == pytest.approx(0.02, rel=0.5)


def test_trying_a_norm_leaves_it_as_it_is():
    norm = RootNorm()
    before = norm.weight.detach().clone()
    assert gains._silent(norm, "weight", norm.weight.detach())
    assert torch.equal(norm.weight, before)
