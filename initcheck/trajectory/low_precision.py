"""Rounding errors in what autocast rounds: outputs in bfloat16 or float16 of a float32 model."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from initcheck.envelope.twins import POOL
from initcheck.trajectory.traces import LOW, is_compiled

# A float32 sum of 64 products in another order is off by some 8 epsilons. Rounded to bfloat16, most
# such errors vanish, and a few become a whole step to the next number. Twins whose weights alone
# are off see too few of them: with two threads in place of one, a network under autocast was 12
# envelopes away, and 0.67 with these steps.
SUM_ERROR = 8.0  # epsilons of float32


class Steps:
    """Moves a few numbers of each layer's low-precision output to a neighbour.

    Hooks cannot be added to a compiled model, so its outputs stay as they are.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator

    def follow(self, model: nn.Module) -> None:
        """Disturb the outputs of all layers from now on."""
        if is_compiled(model):
            return
        for module in model.modules():
            if next(module.children(), None) is None:
                wide = [each for each in module.parameters() if each.dtype not in LOW]
                if wide or next(module.parameters(), None) is None:
                    module.register_forward_hook(self._hook)

    def _hook(self, _module: nn.Module, _args: Any, output: Any) -> Any:
        return tree_map(self._disturbed, output)

    def _disturbed(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dtype not in LOW or not value.numel():
            return value
        factors = _factors(value.dtype, value.device)
        start = int(torch.randint(POOL, (1,), generator=self._generator))
        if value.numel() > POOL:
            factors = factors.repeat(-(-value.numel() // POOL))
        chosen = factors[start : start + value.numel()].view(value.shape)
        return (value.float() * chosen).to(value.dtype)


@lru_cache(maxsize=4)
def _factors(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Ones, with a share of factors that move a number by one step in this dtype, twice."""
    eps, share = torch.finfo(dtype).eps, SUM_ERROR * torch.finfo(torch.float32).eps
    generator = torch.Generator().manual_seed(POOL + 1)
    normal = torch.rand(POOL, generator=generator, dtype=torch.float32, device="cpu")
    signs = torch.randint(2, (POOL,), generator=generator, device="cpu") * 2 - 1
    moved = (normal < share / eps) * signs * (0.51 * eps)
    return (moved + 1).repeat(2).to(device)
