"""Tensors drawn in parts: copies are equal, shards are not, and zeros can be spared."""

from __future__ import annotations

import pytest
import torch

from initcheck.initializers import he_normal_, normal_
from initcheck.initializers.copied import copied_, shards_, sparing_


def drawn(draw, *shape, seed=0):
    return draw(torch.zeros(*shape), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("along", [0, 1])
def test_copies_are_equal_and_shards_are_not(along):
    first, second = drawn(copied_(normal_(1.0), 2, along=along), 4, 6).chunk(2, along)
    assert torch.equal(first, second)
    first, second = drawn(shards_(normal_(1.0), 2, along=along), 4, 6).chunk(2, along)
    assert not torch.equal(first, second)


def test_a_stack_of_matrices_is_drawn_with_the_fans_of_one():
    stack = drawn(shards_(he_normal_, 2), 2, 64, 200)
    assert float(stack.std()) == pytest.approx((2 / 200) ** 0.5, rel=0.05)


def test_another_seed_draws_other_parts():
    draw = copied_(normal_(1.0), 2)
    assert not torch.equal(drawn(draw, 4, 6), drawn(draw, 4, 6, seed=1))


def test_rows_of_zeros_are_spared():
    start = torch.ones(3, 2)
    start[1] = 0
    sparing_(normal_(1.0))(start, torch.Generator().manual_seed(0))
    assert start[1].tolist() == [0.0, 0.0]
    assert bool((start[[0, 2]] != 1).all())
