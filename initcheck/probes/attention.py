"""Attention at the start: how far apart tokens are, and how attention is spread over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from initcheck.probes.probe import largest
from initcheck.training.train import Trained

IMAGES = 32


def tokens_apart(trained: Trained) -> Tensor:
    """Norm of the last tokens less their mean over that of the tokens, largest of 32 images."""
    each = []
    for seen in _seen(trained):
        tokens = seen[-1].double()  # (N, T, width)
        off = tokens - tokens.mean(1, keepdim=True)
        each.append((off.flatten(1).norm(dim=1) / tokens.flatten(1).norm(dim=1)).max())
    return torch.stack(each).cpu()


def attention_entropy(trained: Trained) -> Tensor:
    """Mean entropy of a token's attention over all tokens, in nats."""
    each = [torch.special.entr(seen[-1].double()).sum(-1).mean() for seen in _seen(trained)]
    return torch.stack(each).cpu()


def attention_spread(trained: Trained) -> Tensor:
    """Largest difference between two weights of one token's attention."""
    return torch.cat(
        [largest((seen[-1].amax(-1) - seen[-1].amin(-1))[None]) for seen in _seen(trained)]
    )


def attention_change(trained: Trained, factor: float) -> Tensor:
    """Largest change of a weight of attention if all queries' and keys' weights are multiplied."""
    scaled = _seen(trained, {"query.weight": factor, "key.weight": factor})
    both = zip(_seen(trained), scaled, strict=True)
    return torch.cat([largest((a[-1] - b[-1]).abs()[None]) for a, b in both])


def _seen(trained: Trained, factors: Mapping[str, float] | None = None) -> Iterator[list[Tensor]]:
    """What each replica's network notes in one forward pass over 32 test images."""
    module = trained.arm.build(trained.seeds[0]).to(trained.device)
    images = trained.data.test_inputs[:IMAGES]
    for state in trained.replicas(at_start=True):
        seen: list[Tensor] = []
        given = state | {name: state[name] * factor for name, factor in (factors or {}).items()}
        with torch.no_grad():
            torch.func.functional_call(module, given, (images,), {"seen": seen})
        yield seen
