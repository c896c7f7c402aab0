"""Dead networks: how many chains answer zero at their start, against the exact probability."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from initcheck.training.train import Trained

IMAGES = 64


def dead_share(trained: Trained) -> Tensor:
    """Share of the chains that have a layer without a positive unit for any of 64 test images.

    Such a chain answers the same to all these images, and no layer below that one gets a gradient.
    """
    shares = []
    for seed in trained.seeds:
        module: Any = trained.arm.build(seed)
        with torch.no_grad():
            states = module.states(trained.data.test_inputs[:IMAGES].cpu())  # each (K, B, N)
        alive = torch.stack([state.amax((1, 2)) > 0 for state in states]).all(0)  # (K,)
        shares.append(1 - alive.double().mean())
    return torch.stack(shares)


def dead_share_error(trained: Trained) -> Tensor:
    """Distance of the share of dead chains from its probability, in standard errors.

    A layer of N units with symmetric weights is dead for an image with the probability 2^-N, if the
    layer before it is not: Lu et al. 2019, arXiv 1903.06733, section 3. One test image is looked
    at, since images share the weights.
    """
    layers = [weight for weight in trained.start.values() if weight.dim() == 4]  # (R, K, N, I)
    chains, units = layers[0].shape[1:3]
    dead = 1 - (1 - 2.0**-units) ** len(layers)
    error = math.sqrt(dead * (1 - dead) / chains)
    shares = []
    for seed in trained.seeds:
        module: Any = trained.arm.build(seed)
        with torch.no_grad():
            ends = module.ends(trained.data.test_inputs[:1].cpu())  # (K, 1, N)
        shares.append((ends.amax((1, 2)) == 0).double().mean())
    return (torch.stack(shares) - dead).abs() / error
