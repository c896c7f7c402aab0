"""What each fault of ``initcheck/faults/copies.py`` says, answered yes while it lasts."""

from __future__ import annotations

import torch
from torch import nn

from initcheck.initializers import copied, normal_
from initcheck.networks import adapters, experts, widened


def drawn_factors():
    """Whether each factor of a new adapter has values other than zero."""
    adapter = adapters.Adapter(nn.Linear(4, 3), rank=2)
    return bool(adapter.lora_a.any()), bool(adapter.lora_b.any())


def equal_parts(draw):
    """Whether both halves of a tensor drawn in two parts are equal."""
    generator = torch.Generator().manual_seed(0)
    first, second = draw(normal_(1.0), 2)(torch.empty(4, 3), generator).chunk(2)
    return torch.equal(first, second)


def gate_sum(*, normalized):
    """The sum of a gate that keeps one expert of probability .4."""
    mixture = experts.Mixture(3, 1, normalized=normalized)
    return round(float(mixture.gate(torch.tensor([[0.4, 0.3, 0.2, 0.1]])).sum()), 6)


SAYS = {
    "adapter_drawn_whole": lambda: drawn_factors() == (True, True),
    "adapter_zeroed_whole": lambda: drawn_factors() == (False, False),
    "shards_from_one_seed": lambda: equal_parts(copied.shards_),
    "copies_drawn_separately": lambda: not equal_parts(copied.copied_),
    "outgoing_weights_whole": lambda: widened.shares(0.5) == (1.0, 1.0),
    "outgoing_shares_unequal": lambda: widened.shares(0.5) == (0.3, 0.7),
    "gate_normalized": lambda: gate_sum(normalized=False) == 1.0,
    "gate_not_normalized": lambda: gate_sum(normalized=True) == 0.4,
}
