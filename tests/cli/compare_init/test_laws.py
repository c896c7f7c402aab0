"""The law that a start follows, read from its weights."""

from __future__ import annotations

import pytest
import torch

from initcheck.cli.compare_init.laws import implied_law
from initcheck.initializers import (
    constant_,
    glorot_uniform_,
    he_fan_out_,
    he_normal_,
    lecun_normal_,
    normal_,
    orthogonal_,
    scaled_,
    torch_default_weight_,
    zeros_,
)

SHAPES = {"widening": (200, 40), "narrowing": (40, 200), "kernel": (30, 10, 3, 3)}


def weights(initializer):
    """Three seeds of weights of three shapes."""
    return {
        name: torch.stack(
            [initializer(torch.empty(shape), torch.Generator().manual_seed(s)) for s in range(3)]
        )
        for name, shape in SHAPES.items()
    }


@pytest.mark.parametrize(
    ("initializer", "law"),
    [
        (he_normal_, "He, 2 / fan-in"),
        (lecun_normal_, "LeCun, 1 / fan-in"),
        (torch_default_weight_, "torch's default, 1/3 / fan-in"),
        (glorot_uniform_, "Glorot, 2 / (fan-in + fan-out)"),
        (he_fan_out_, "2 / fan-out"),
        (scaled_(he_normal_, 2.0), "8 / fan-in"),
        (scaled_(he_fan_out_, 2.0), "8 / fan-out"),
        (normal_(0.02), "N(0, 0.02²)"),
        (constant_(0.5), "constant, variance 0.25"),
        (orthogonal_(), "orthogonal"),
        (zeros_, "zero"),
    ],
)
def test_law_is_named(initializer, law):
    if law.startswith("8"):  # measured, so its second digit may differ
        assert implied_law(weights(initializer)).endswith(law[1:])
    else:
        assert implied_law(weights(initializer)) == law


def test_other_start_has_no_law():
    def own(tensor, generator):
        return tensor.normal_(std=tensor.shape[0] ** -1.5, generator=generator)

    assert implied_law(weights(own)).startswith("none of the known, gain² ")
