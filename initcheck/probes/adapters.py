"""Adapters: how far a network is from its base at the start, and which factor moves first."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from initcheck.arms import DTYPES, derived
from initcheck.probes.probe import largest
from initcheck.training.train import Trained

IMAGES = 50  # test images
POOL = 2  # pixels averaged into one, a side, as in ``TwoRanks``


@runtime_checkable
class Adapted(Protocol):
    """A network made from another, which it holds as ``base``."""

    base: Any


def base_gap(trained: Trained) -> Tensor:
    """Largest difference between a logit of the adapted network and of its base, at the start.

    The base is built with the same seed. Measured on 50 test images.

    Raises:
        TypeError: the network has no base.
    """
    network = trained.arm.network
    if not isinstance(network, Adapted):
        raise TypeError(
            f"base_gap compares a network with its base, and '{network.name}' has none. Build it "
            "with initcheck.networks.adapters."
        )
    images = trained.data.test_inputs[:IMAGES]
    dtype = DTYPES[trained.arm.recipe.dtype]
    base = []
    for seed in trained.seeds:
        module = network.base.fresh(derived(seed, "constructor")).to(trained.device, dtype)
        with torch.no_grad():
            base.append(module.eval()(images))
    return largest((trained.logits(images, at_start=True) - torch.stack(base)).abs())


def factors_out_of_turn(trained: Trained, first: str) -> Tensor:
    """Number of factors that move at another step than expected of the first two.

    In the first step each factor named ``first`` must move and each other one stay bit-identical;
    in the second step both must move. The recipe must keep all factors after steps 1 and 2.
    """
    states = [trained.start, trained.kept[1], trained.kept[2]]
    errors = torch.zeros(len(trained.seeds), dtype=torch.float64)
    for name in trained.kept[1]:
        moved = [_moved(before[name], after[name]) for before, after in pairwise(states)]
        errors += (moved[0] != name.endswith(first)).double() + (~moved[1]).double()
    return errors


def _moved(before: Tensor, after: Tensor) -> Tensor:
    """Whether any entry of each replica changed, ``(R,)`` bool on the CPU."""
    return (before.cpu() != after.cpu()).flatten(1).any(1)


def first_step_ratio(trained: Trained) -> Tensor:
    """What the adapter ``high`` adds to the logits over what ``low`` adds, after training.

    Each is the root of the mean square over 500 test images. The network is ``TwoRanks``.
    """
    images = trained.data.test_inputs[:500]
    ratios = []
    for seed, state in zip(trained.seeds, trained.replicas(), strict=True):
        module = trained.arm.build(seed).to(trained.device)
        module.load_state_dict(state)
        x = nn.functional.avg_pool2d(images, POOL).flatten(1)
        with torch.no_grad():
            low, high = (module.get_submodule(name)(x).double().norm() for name in ("low", "high"))
        ratios.append((high / low).cpu())
    return torch.stack(ratios)
