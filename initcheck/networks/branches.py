"""Residual networks whose branches can start silent, one kind for each way in which people do it.

They read 7 x 7 pooled digits. Letters: B batch, C channels, D width of the stream.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.networks.network import SIDE, Network

POOLED = 4  # pixels averaged into one, a side
CHANNELS, WIDTH = 8, 16
CHUNKS = 6  # of a modulation: shift, scale and gate of each of two branches


def _conv(kernel: int = 3, *, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(CHANNELS, CHANNELS, kernel, padding=kernel // 2, bias=bias)


class Normed(nn.Module):
    """The branch ends in a batch norm, whose gain may start at zero (Goyal et al. 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = _conv(), nn.BatchNorm2d(CHANNELS)
        self.second, self.last_norm = _conv(), nn.BatchNorm2d(CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the stream."""
        added: Tensor = self.last_norm(self.second(F.relu(self.norm(self.first(x)))))
        return x + added


class Scaled(nn.Module):
    """A number multiplies the branch: ReZero's alpha, SkipInit's scalar."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = _conv(), _conv()
        self.alpha = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the stream."""
        added: Tensor = self.last(F.relu(self.first(x)))
        return x + self.alpha * added


class Controlled(nn.Module):
    """The branch ends in a 1 x 1 convolution with biases, ControlNet's zero convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = _conv(), _conv(1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the stream."""
        added: Tensor = self.last(F.relu(self.first(x)))
        return x + added


class Gated(nn.Module):
    """A gate of two layers multiplies what is added, as in LAVT."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.gate_first, self.gate_last = _conv(), _conv(1), _conv(1)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the stream."""
        gate = torch.tanh(self.gate_last(F.relu(self.gate_first(x))))
        added: Tensor = gate * self.inner(x)
        return x + added


class Modulated(nn.Module):
    """Two branches, with shifts, scales and gates from a condition: DiT's adaLN-zero."""

    def __init__(self) -> None:
        super().__init__()
        self.modulation = nn.Linear(WIDTH, CHUNKS * WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH, elementwise_affine=False) for _ in range(2))
        self.inner = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Add both branches to the stream, ``(B, D)``."""
        chunks = self.modulation(F.silu(condition)).chunk(CHUNKS, -1)
        for norm, inner, parts in zip(
            self.norms, self.inner, (chunks[:3], chunks[3:]), strict=True
        ):
            shift, scale, gate = parts
            x = x + gate * F.relu(inner(norm(x) * (1 + scale) + shift))
        return x


class OnImages(nn.Module):
    """A stem, two blocks on ``(B, C, 7, 7)``, and a head: ``(B, 1, 28, 28)`` to ``(B, 10)``."""

    def __init__(self, block: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, CHANNELS, 3, padding=1)
        self.blocks = nn.Sequential(block(), block())
        self.head = nn.Linear(CHANNELS * (SIDE // POOLED) ** 2, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Classify pooled images."""
        stream = self.blocks(self.stem(F.avg_pool2d(x, POOLED)))
        logits: Tensor = self.head(stream.flatten(1))
        return logits


class OnConditions(nn.Module):
    """Two modulated blocks on ``(B, D)``, with a condition from the image too."""

    def __init__(self) -> None:
        super().__init__()
        pixels = (SIDE // POOLED) ** 2
        self.stem, self.condition = nn.Linear(pixels, WIDTH), nn.Linear(pixels, WIDTH)
        self.blocks = nn.ModuleList(Modulated() for _ in range(2))
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Classify pooled images."""
        pixels = F.avg_pool2d(x, POOLED).flatten(1)
        stream, condition = self.stem(pixels), self.condition(pixels)
        for block in self.blocks:
            stream = block(stream, condition)
        logits: Tensor = self.head(stream)
        return logits


KINDS: dict[str, Callable[[], nn.Module]] = {
    "batch-normed": partial(OnImages, Normed),
    "scaled": partial(OnImages, Scaled),
    "controlled": partial(OnImages, Controlled),
    "gated": partial(OnImages, Gated),
    "modulated": OnConditions,
}


@cache  # equal calls give the same network, so that equal arms are trained once
def branches(kind: str) -> Network:
    """A residual network on 7 x 7 pooled digits whose two blocks are of this kind in ``KINDS``."""
    return Network(f"7 x 7 pooled, 2 {kind} residual blocks", KINDS[kind])
