"""The networks in which an initializer is judged: plain, mixed, residual, and with an embedding.

Equal calls return the same network, so that equal arms are trained once.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cache, partial

import torch
from torch import Tensor, nn

from initcheck.networks.network import ACTIVATIONS, Network, mlp

# Wide and narrow in turn, so that fan-in and fan-out differ in every layer; the first and the last
# are equally wide, so that the factors n / m of a law by either fan cancel between them.
DEEP_WIDTHS = (*(256, 128, 64, 128, 256, 512) * 3, 256)


def deep(activation: str) -> Network:
    """19 hidden layers of unequal widths, without norms: a wrong gain grows or decays."""
    return mlp(784, *DEEP_WIDTHS, 10, activation=activation)


def shallow(activation: str) -> Network:
    """Three narrow hidden layers, which train in a moment."""
    return mlp(784, 64, 32, 32, 10, activation=activation)


# --- dense, grouped and transposed layers ---------------------------------------------------------

CHANNELS, KERNEL, NARROW, WIDE = 8, 7, 49, 392  # widths and channels change by a factor of 8


@cache
def mixed(activation: str) -> Network:
    """A dense, a grouped and a transposed convolution, a narrowing and a widening linear layer."""
    return Network(f"dense, grouped and transposed {activation}", partial(_mixed, activation))


def _mixed(activation: str) -> nn.Module:
    act, same = ACTIVATIONS[activation], KERNEL // 2
    layers = OrderedDict[str, nn.Module](
        dense=nn.Conv2d(1, CHANNELS, KERNEL, stride=4, padding=same),  # (B, 8, 7, 7)
        act1=act(),
        grouped=nn.Conv2d(CHANNELS, CHANNELS, KERNEL, padding=same, groups=4),
        act2=act(),
        # As many channels out as in: a function of a tensor cannot know that a weight is stored
        # transposed, and torch's own initializers take its outputs for its inputs.
        transposed=nn.ConvTranspose2d(CHANNELS, CHANNELS, 3, padding=1),
        act3=act(),
        flatten=nn.Flatten(),
        narrowing=nn.Linear(WIDE, NARROW),
        act4=act(),
        widening=nn.Linear(NARROW, WIDE),
        act5=act(),
        output=nn.Linear(WIDE, 10),
    )
    return nn.Sequential(layers)


# --- a residual network with norms ----------------------------------------------------------------

STREAM, BRANCH, BLOCKS = 64, 256, 4


class Block(nn.Module):
    """``x + down(act(up(norm(x))))``, shapes ``(B, 64)`` to ``(B, 64)``."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(STREAM)
        self.up = nn.Linear(STREAM, BRANCH)
        self.act = ACTIVATIONS[activation]()
        self.down = nn.Linear(BRANCH, STREAM)

    def forward(self, x: Tensor) -> Tensor:
        """Add the branch to the stream."""
        added: Tensor = self.down(self.act(self.up(self.norm(x))))
        return x + added


@cache
def residual(activation: str) -> Network:
    """Four residual blocks, each with a layer norm before its two linear layers."""
    return Network(f"residual with norms, 4 blocks {activation}", partial(_residual, activation))


def _residual(activation: str) -> nn.Module:
    layers = OrderedDict[str, nn.Module](flatten=nn.Flatten(), input=nn.Linear(784, STREAM))
    layers |= {f"block{number}": Block(activation) for number in range(1, BLOCKS + 1)}
    layers |= {"norm": nn.LayerNorm(STREAM), "output": nn.Linear(STREAM, 10)}
    return nn.Sequential(layers)


# --- an embedding ---------------------------------------------------------------------------------

LEVELS, POOLED = 16, 4  # grey levels, which are the tokens; pixels averaged into one, a side


class Embedded(nn.Module):
    """Grey levels of a pooled image as tokens: ``(B, 1, 28, 28)`` to logits ``(B, 10)``."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding(LEVELS, 8)
        self.hidden = nn.Linear(8 * (28 // POOLED) ** 2, 32)
        self.act = ACTIVATIONS[activation]()
        self.output = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Look up a row per token and pass all of them through two linear layers."""
        pooled = nn.functional.avg_pool2d(x, POOLED).flatten(1)  # (B, 49)
        tokens = (pooled * (LEVELS - 1)).to(torch.int64).clamp(0, LEVELS - 1)
        logits: Tensor = self.output(self.act(self.hidden(self.embedding(tokens).flatten(1))))
        return logits


@cache
def embedded(activation: str) -> Network:
    """An embedding of 16 grey levels, then two linear layers."""
    return Network(f"embedding of grey levels {activation}", partial(Embedded, activation))
