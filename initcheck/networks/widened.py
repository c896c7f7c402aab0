"""Networks widened by copies: every hidden unit twice, its outgoing weights divided among both.

Chen, Goodfellow and Shlens 2015, arXiv 1511.05641, section 3.3.2 (Net2WiderNet).
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cache, partial

import torch
from torch import nn

from initcheck.networks.adapters import Adapted
from initcheck.networks.network import Network


@cache  # equal calls give the same network, so that equal arms are trained once
def widened(base: Network, share: float = 0.5, *, divided: bool = True) -> Adapted:
    """The network with one hidden layer, ``base``, with every hidden unit twice.

    Args:
        base: has the layers ``hidden1`` and ``output``, both with a bias.
        share: the share of its outgoing weights that the first copy of a unit gets.
        divided: whether they are divided; if not, both copies get them whole.
    """
    how = f"shares {share:g} and {1 - share:g}" if divided else "outgoing weights whole"
    return Adapted(
        f"{base.name} widened by copies, {how}", partial(_build, base, share, divided), base
    )


class Widened(nn.Sequential):
    """A sequence of layers whose hidden units are copies, which its layers do not show."""


def shares(share: float) -> tuple[float, float]:
    """What both copies of a unit get of its outgoing weights."""
    return share, 1 - share


@torch.no_grad()
def _build(base: Network, share: float, divided: bool) -> nn.Module:
    module = base.build()
    hidden, output = _linear(module, "hidden1"), _linear(module, "output")
    parts = shares(share) if divided else (1.0, 1.0)
    wide = nn.Linear(hidden.in_features, 2 * hidden.out_features)
    wide.weight.copy_(torch.cat([hidden.weight, hidden.weight]))
    wide.bias.copy_(torch.cat([hidden.bias, hidden.bias]))
    narrowing = nn.Linear(2 * output.in_features, output.out_features)
    narrowing.weight.copy_(torch.cat([part * output.weight for part in parts], 1))
    narrowing.bias.copy_(output.bias)
    layers = OrderedDict(module.named_children())
    layers["hidden1"], layers["output"] = wide, narrowing
    return Widened(layers)


def _linear(module: nn.Module, name: str) -> nn.Linear:
    layer = module.get_submodule(name)
    assert isinstance(layer, nn.Linear)  # noqa: S101 -- for the type checker
    return layer
