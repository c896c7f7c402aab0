"""Attention: small networks on the rows of an image, for laws of attention at the start.

The 28 rows of an image are the tokens, each of 28 pixels.
"""

from __future__ import annotations

from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.networks.network import Network

TOKENS, PIXELS, CLASSES = 28, 28, 10


class Attention(nn.Module):
    """Layers of attention with one head and nothing else: ``(B, 1, 28, 28)`` to logits ``(B, 10)``.

    The weights of all layers are in one tensor for queries, one for keys and one for values,
    ``(depth, width, width)``.
    """

    def __init__(self, depth: int, width: int, *, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        self.input = nn.Linear(PIXELS, width, bias=False)
        shape = depth, width, width
        self.query, self.key, self.value = (nn.Parameter(torch.empty(shape)) for _ in range(3))
        for stacked in (self.query, self.key, self.value):
            nn.init.normal_(stacked.data, std=width**-0.5)
        self.output = nn.Linear(width, CLASSES, bias=False)

    def forward(self, x: Tensor, seen: list[Tensor] | None = None) -> Tensor:
        """Logits; ``seen`` gets the tokens behind each layer, ``(B, 28, width)``."""
        tokens = self.input(x.squeeze(1))
        for query, key, value in zip(self.query, self.key, self.value, strict=True):
            added = F.scaled_dot_product_attention(
                F.linear(tokens, query), F.linear(tokens, key), F.linear(tokens, value)
            )
            tokens = tokens + added if self.skip else added
            if seen is not None:
                seen.append(tokens)
        logits: Tensor = self.output(tokens.mean(1))
        return logits


class Head(nn.Module):
    """One head of attention over normalized tokens: ``(B, 1, 28, 28)`` to logits ``(B, 10)``.

    Each row of an image gets a position of its head's width, drawn from N(0, 1), so all tokens
    differ.
    """

    def __init__(self, width: int, *, normalized: bool) -> None:
        super().__init__()
        self.width, self.normalized = width, normalized
        self.position = nn.Embedding(TOKENS, width)
        self.input = nn.Linear(PIXELS, width, bias=False)
        self.query, self.key = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.output = nn.Linear(width, CLASSES, bias=False)

    def forward(self, x: Tensor, seen: list[Tensor] | None = None) -> Tensor:
        """Logits; ``seen`` gets the weights of attention, ``(B, 28, 28)``, whose rows sum to 1."""
        tokens = self.input(x.squeeze(1)) + self.position.weight
        tokens = F.layer_norm(tokens, (self.width,))
        query, key = self.query(tokens), self.key(tokens)
        if self.normalized:
            query, key = (F.normalize(each, dim=-1) * self.width**0.5 for each in (query, key))
        itself = torch.eye(TOKENS, dtype=x.dtype, device=x.device).expand(len(x), -1, -1)
        weights = F.scaled_dot_product_attention(query, key, itself)
        if seen is not None:
            seen.append(weights)
        logits: Tensor = self.output((weights @ tokens).mean(1))
        return logits


@cache  # equal calls give the same network, so that equal arms are trained once
def attention(depth: int, width: int, *, skip: bool) -> Network:
    """Layers of attention, with or without skips."""
    skips = "with" if skip else "without"
    name = f"{depth} layers of attention of width {width} {skips} skips, no norms"
    return Network(name, partial(Attention, depth, width, skip=skip))


@cache
def head(width: int, *, normalized: bool = False) -> Network:
    """One head; ``normalized``: its queries and keys have the norm of the root of the width."""
    normed = " with normalized queries and keys" if normalized else ""
    return Network(
        f"attention head of width {width}{normed}", partial(Head, width, normalized=normalized)
    )
