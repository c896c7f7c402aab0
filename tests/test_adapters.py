"""Adapters start the same on every machine."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from initcheck.networks import adapters


def started(weight):
    layer = nn.Linear(*weight.shape[::-1], bias=False)
    layer.weight.data = weight.clone()
    return adapters.principal(layer, 3)


@pytest.mark.parametrize("seed", range(4))
def test_principal_directions_do_not_turn_round_with_rounding(seed, monkeypatch):
    """A singular value decomposition leaves each pair of directions without a sign."""
    weight = torch.randn(12, 20, generator=torch.Generator().manual_seed(seed))
    plain = started(weight)
    svd = torch.linalg.svd

    def turned(matrix, **how):
        u, s, v = svd(matrix, **how)
        return -u, s, -v

    monkeypatch.setattr(torch.linalg, "svd", turned)
    assert torch.equal(started(weight).lora_a, plain.lora_a)
    assert torch.equal(started(weight).lora_b, plain.lora_b)


def test_principal_directions_are_the_largest():
    weight = torch.randn(12, 20, generator=torch.Generator().manual_seed(0))
    u, s, v = torch.linalg.svd(weight, full_matrices=False)
    nearest = u[:, :3] @ s[:3].diag() @ v[:3]
    torch.testing.assert_close(adapters.product(started(weight)).detach(), nearest)
