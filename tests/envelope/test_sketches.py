"""A sketch is a few products with fixed signs, the same in any block, dtype and thread."""

from __future__ import annotations

import pytest
import torch

from initcheck.envelope import sketches
from initcheck.envelope.sketches import in_order, sketch

SIGNS = [  # of the first two products of a tensor "w" of twelve numbers
    [-1, -1, -1, 1, -1, 1, 1, 1, -1, -1, -1, -1],
    [1, 1, 1, -1, 1, 1, 1, 1, -1, 1, -1, 1],
]
NARROW = {"_ROW": 8, "_BLOCK": 16}  # so that a tensor of some dozens of numbers has many blocks


@pytest.fixture
def narrow(monkeypatch):
    """Rows of 8 numbers, and one or two rows per block."""
    for name, value in NARROW.items():
        monkeypatch.setattr(sketches, name, value)
    sketches._drawn.cache_clear()
    yield
    sketches._drawn.cache_clear()


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def signs_of(name, entries, count=4):
    """The signs ``(entries, count)``: the sketches of all unit vectors."""
    return sketch(name, torch.eye(entries, dtype=torch.float64), count=count)[:, :count]


SIZES = [1, 5, 8, 9, 16, 29, 64]  # below, at and above a row; with and without a short last row


@pytest.mark.parametrize("entries", SIZES)
def test_products_are_with_signs_and_the_last_number_is_the_length(narrow, entries):
    signs = signs_of("w", entries)
    assert (signs.abs() == 1).all()
    way = normal(3, entries)
    found = sketch("w", way)
    assert torch.allclose(found[:, :-1], way @ signs, rtol=1e-12, atol=1e-12)
    assert torch.allclose(found[:, -1], way.norm(dim=1), rtol=1e-12)
    assert found.dtype == torch.float64


@pytest.mark.parametrize("entries", [2, 29, 64])
def test_the_mean_square_of_a_product_is_the_squared_length(narrow, entries):
    way = normal(1, entries) + 1
    found = torch.cat([sketch(f"tensor {i}", way) for i in range(1000)])
    ratio = found[:, :-1].square().mean() / way.square().sum()
    assert 0.85 < ratio < 1.15  # 4000 products, whose squares scatter by twice their mean or so
    assert abs(found[:, :-1].mean()) < 0.1 * way.norm()


@pytest.mark.parametrize("entries", SIZES)
def test_blocks_do_not_change_a_sketch(narrow, monkeypatch, entries):
    way = normal(4, entries)
    small = sketch("w", way)
    monkeypatch.setattr(sketches, "_BLOCK", 10**6)
    assert torch.allclose(sketch("w", way), small, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(), (7,), (5000,), (3, 4), (64, 70), (2, 3, 3, 3)], ids=str)
def test_replicas_are_sketched_as_if_each_was_alone(shape):
    now, start = normal(3, *shape), normal(3, *shape, seed=1)
    together = sketch("w", now, start)
    assert together.shape == (3, 5)
    for r in range(3):
        alone = sketch("w", now[r : r + 1], start[r : r + 1])
        assert torch.allclose(together[r], alone[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_a_way_is_sketched_in_float32_or_wider(dtype):
    now, start = (100 + normal(2, 300)).to(dtype), (100 + normal(2, 300, seed=1)).to(dtype)
    exact = sketch("w", now.double() - start.double())
    way = exact[:, -1:]
    bound = 0 if dtype == torch.float64 else torch.finfo(torch.float32).eps
    assert ((sketch("w", now, start) - exact).abs() <= 2 * bound * way + 1e-12 * way).all()


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.uint8, torch.bool])
def test_integers_and_booleans_do_not_wrap_around(dtype):
    now, start = torch.tensor([[0, 1, 0]]).to(dtype), torch.tensor([[1, 0, 0]]).to(dtype)
    expected = sketch("w", torch.tensor([[-1.0, 1.0, 0.0]]))
    assert torch.equal(sketch("w", now, start), expected)


def test_a_complex_tensor_is_its_real_and_imaginary_parts():
    way = torch.complex(normal(2, 6), normal(2, 6, seed=1))
    assert torch.equal(sketch("w", way), sketch("w", torch.view_as_real(way).flatten(1)))


def test_the_layout_in_memory_does_not_matter():
    way = normal(2, 70, 64)
    assert torch.equal(sketch("w", way.mT.contiguous().mT), sketch("w", way))


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (0, 3, 2, 1), (1, 0, 2, 3)])
def test_tensors_are_put_in_order_whatever_their_layout(order):
    turned = normal(2, 3, 4, 5).permute(order)
    assert torch.equal(in_order(turned), turned)
    assert in_order(turned).is_contiguous()


def test_tensors_in_order_are_not_copied():
    way = normal(2, 3)
    assert in_order(way) is way


def test_names_have_different_signs_which_no_release_may_change():
    """Recorded sketches are compared with new ones, so these signs are part of the format."""
    assert not torch.equal(signs_of("b", 64), signs_of("w", 64))
    assert signs_of("w", 12, count=2).T.tolist() == SIGNS


@pytest.mark.parametrize("entries", [3, 29, 5000])
def test_fewer_products_are_the_first_of_more(entries):
    way = normal(2, entries)
    few, many = sketch("w", way, count=2), sketch("w", way, count=4)
    assert torch.allclose(few, many[:, [0, 1, 4]], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_stays_in_its_replica(bad):
    way = normal(3, 5000)
    way[1, 4999] = bad
    found = sketch("w", way)
    assert found[[0, 2]].isfinite().all()
    assert not found[1].isfinite().any()


def test_a_way_of_zero_has_a_sketch_of_zero():
    now = normal(2, 30)
    assert (sketch("w", now, now.clone()) == 0).all()


def test_the_number_of_threads_is_left_as_it_was():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        sketch("w", normal(1, 10))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
