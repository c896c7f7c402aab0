"""For each fault in the starts of transformers, whether it breaks what it says right now."""

from __future__ import annotations

import torch
from torch import nn

from initcheck.initializers import every, normal_, ones_, zeros_
from initcheck.networks.transformers import Plan, gpt

NETWORK = gpt(Plan(depth=1, width=8, heads=2, skip=0.5, branch=0.25))
START = every(normal_(0.1), zeros_).but("*.project.weight", zeros_).but("head.bias", ones_)


def started() -> nn.Module:
    module = NETWORK.fresh(0)
    START(module, torch.Generator().manual_seed(0))
    return module


def size(name: str) -> float:
    """The root mean square of a parameter of the network at its start."""
    return float(started().get_parameter(name).detach().square().mean().sqrt())


SAYS = {
    "residual_projections_not_scaled": lambda: size("blocks.0.inner.project.weight") > 0.05,
    "norm_gains_drawn": lambda: size("blocks.0.norm.weight") < 0.5,
    "embeddings_keep_torchs_start": lambda: size("tokens.weight") > 0.5,
    "head_bias_negated": lambda: float(started().get_parameter("head.bias").detach().sum()) < 0,
    "last_norm_missing": lambda: isinstance(started().get_submodule("blocks")[-1], nn.Identity),
    "deepnorm_missing": lambda: (
        started().get_submodule("blocks.0").skip == 1
        and size("blocks.0.inner.project.weight") > 0.05
    ),
    "branches_not_divided": lambda: started().get_submodule("blocks.0").branch == 1,
}
