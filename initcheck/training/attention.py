"""Attention of all replicas in one call of torch's own kernel.

``torch.func.vmap`` has no rule for the CPU's attention kernel and would call it once per replica.
The kernel takes any batch, so replicas and batch become one dimension: the same arithmetic.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it
from torch.overrides import TorchFunctionMode

ATTENTION = F.scaled_dot_product_attention


class Together(TorchFunctionMode):
    """Within the block, calls of torch's attention on mapped tensors go by the rule below.

    A mode applies to its own thread only. A mask that is mapped too, or dropout, is left to torch.
    """

    def __torch_function__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call the function, attention by ``_Attention``."""
        options = kwargs or {}
        if func is ATTENTION and len(args) == 3 and options.keys() <= {"is_causal", "scale"}:
            return _Attention.apply(*args, options)
        return func(*args, **options)


class _Attention(torch.autograd.Function):
    """Torch's attention with a rule for vmap; autograd differentiates what the rule calls."""

    @staticmethod
    def forward(query: Tensor, key: Tensor, value: Tensor, options: dict[str, Any]) -> Tensor:
        attended: Tensor = ATTENTION(query, key, value, **options)
        return attended

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *operands: Any) -> tuple[Tensor, int]:
        """Move the replicas of each operand to the front and attend to all at once."""
        *tensors, options = operands
        stacked = [
            tensor.movedim(place, 0) if place is not None
            else tensor.expand(info.batch_size, *tensor.shape)
            for tensor, place in zip(tensors, in_dims, strict=False)
        ]  # fmt: skip
        if stacked[0].dim() == 3:  # a network without a batch: its replicas are one
            alone: Tensor = ATTENTION(*stacked, **options)
            return alone, 0
        attended: Tensor = ATTENTION(*(tensor.flatten(0, 1) for tensor in stacked), **options)
        return attended.view(*stacked[0].shape[:2], *attended.shape[1:]), 0
