"""Low-rank adapters: a network whose linear layers are frozen, each with a trainable product.

Hu et al. 2021, arXiv 2106.09685, section 4.1: h = W x + scale B A x. Letters: B batch, I inputs,
O outputs, K rank.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import init

from initcheck.networks.network import Network


class Adapter(nn.Module):
    """A frozen linear layer plus ``scale`` times the product of two trainable factors.

    It starts as in microsoft/LoRA: ``lora_a`` is drawn and ``lora_b`` is zero, so the layer starts
    as ``base``.

    Attributes:
        base: the frozen layer, weight ``(O, I)``.
        lora_a: ``(K, I)``.
        lora_b: ``(O, K)``.
        scale: multiplies the product.
    """

    def __init__(self, base: nn.Linear, rank: int, scale: float = 1.0) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.lora_a = nn.Parameter(torch.empty(rank, base.in_features))
        self.lora_b = nn.Parameter(torch.empty(base.out_features, rank))
        self.scale = scale
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw ``lora_a`` and set ``lora_b`` to zero."""
        init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))
        init.zeros_(self.lora_b)

    def forward(self, x: Tensor) -> Tensor:
        """Add the product to the frozen layer: ``(B, I)`` to ``(B, O)``."""
        added: Tensor = x @ self.lora_a.mT @ self.lora_b.mT
        frozen: Tensor = self.base(x)
        return frozen + self.scale * added


Wrap = Callable[[nn.Linear], nn.Module]


@dataclass(frozen=True)
class Adapted(Network):
    """A network with adapters.

    Attributes:
        base: the network without them; with the same seed, it has the same frozen layers.
    """

    base: Network


def adapted(base: Network, wrap: Wrap, words: str) -> Adapted:
    """The network ``base``, each linear layer of which is replaced by ``wrap`` of it.

    Args:
        base: builds an ``nn.Sequential``.
        wrap: takes a linear layer and returns the adapted layer.
        words: what the adapters are, for the network's name.
    """
    return Adapted(f"{base.name} with {words}", partial(_build, base, wrap), base)


def _build(base: Network, wrap: Wrap) -> nn.Module:
    module = base.build()
    for name, layer in list(module.named_children()):
        if isinstance(layer, nn.Linear):
            setattr(module, name, wrap(layer))
    return module


@cache  # equal calls give the same network, so that equal arms are trained once
def lora(base: Network, rank: int) -> Adapted:
    """The network with an adapter of this rank, scale 1, in each linear layer."""
    return adapted(base, partial(Adapter, rank=rank), f"adapters of rank {rank}")


# --- starts that keep the base --------------------------------------------------------------------


def principal(layer: nn.Linear, rank: int, *, whole: bool = False) -> Adapter:
    """An adapter that starts with the largest singular directions of its layer's weight.

    Meng, Wang and Zhang 2024, arXiv 2404.02948, eq. 2 to 4 (PiSSA): the frozen weight is what they
    leave. ``whole``: it stays whole, which is wrong.
    """
    adapter = Adapter(layer, rank)
    with torch.no_grad():
        u, s, v = torch.linalg.svd(layer.weight.double(), full_matrices=False)
        root = s[:rank].sqrt()
        largest = v[:rank].abs().argmax(1, keepdim=True)
        signs = v[:rank].gather(1, largest).sign()  # u and v may both be negated
        adapter.lora_b.copy_(u[:, :rank] * (root * signs[:, 0]))
        adapter.lora_a.copy_(root[:, None] * signs * v[:rank])
        if not whole:
            layer.weight.sub_(product(adapter))
    return adapter


def product(adapter: Adapter) -> Tensor:
    """What an adapter adds to its layer's weight, ``(O, I)``."""
    return adapter.scale * adapter.lora_b @ adapter.lora_a


class Decomposed(Adapter):
    """An adapter whose rows keep a trainable length: m (W + B A) / |W + B A|.

    Liu et al. 2024, arXiv 2402.09353, eq. 5 (DoRA); m starts as the length of the rows of W.

    Attributes:
        magnitude: m, ``(O, 1)``.
    """

    def __init__(self, base: nn.Linear, rank: int, *, ones: bool = False) -> None:
        super().__init__(base, rank)
        start = torch.ones(base.out_features, 1) if ones else row_lengths(base.weight.detach())
        self.magnitude = nn.Parameter(start)

    def forward(self, x: Tensor) -> Tensor:
        """A linear layer with the decomposed weight: ``(B, I)`` to ``(B, O)``."""
        moved = self.base.weight + product(self)
        weight = self.magnitude * moved / moved.norm(dim=1, keepdim=True)
        return nn.functional.linear(x, weight, self.base.bias)


def row_lengths(weight: Tensor) -> Tensor:
    """The length of each row, ``(O, 1)``."""
    lengths: Tensor = weight.norm(dim=1, keepdim=True)
    return lengths


@cache  # equal calls give the same network, so that equal arms are trained once
def pissa(base: Network, rank: int, *, whole: bool = False) -> Adapted:
    """The network with a principal adapter of this rank in each linear layer."""
    words = f"principal adapters of rank {rank}{', base whole' if whole else ''}"
    return adapted(base, partial(principal, rank=rank, whole=whole), words)


@cache  # equal calls give the same network, so that equal arms are trained once
def dora(base: Network, rank: int, *, ones: bool = False) -> Adapted:
    """The network with a decomposed adapter of this rank in each linear layer."""
    words = f"decomposed adapters of rank {rank}{', magnitudes one' if ones else ''}"
    return adapted(base, partial(Decomposed, rank=rank, ones=ones), words)
