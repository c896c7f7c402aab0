"""Ranks are those that numpy counts, right up to the tolerance."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from initcheck.devices.compute import threads
from initcheck.probes import rank, residual_off_pixels, residual_outside, residual_rank
from initcheck.probes.ranks import RANK_TOLERANCE
from tests.helpers import toy
from tests.helpers.trained import trained_with

SHAPES = [(1, 1), (1, 7), (7, 1), (5, 5), (12, 30), (30, 12), (64, 64), (65, 33)]
LAYER = "hidden2.weight"


def numpys(matrices, tolerance=RANK_TOLERANCE):
    arrays = matrices.double().numpy()
    return [float(np.linalg.matrix_rank(array, tol=tolerance)) for array in arrays]


def rotation(size, generator):
    square = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(square).Q


def with_singular_values(values, shape, seed=1):
    """A float64 matrix of this shape with these singular values, as many as its shorter side."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = shape
    diagonal = torch.zeros(shape, dtype=torch.float64)
    diagonal.diagonal().copy_(torch.as_tensor(values, dtype=torch.float64))
    return rotation(rows, generator) @ diagonal @ rotation(columns, generator).mT


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_random_matrices(shape, dtype):
    drawn = torch.randn(3, *shape, generator=torch.Generator().manual_seed(2), dtype=dtype)
    assert rank(drawn).tolist() == numpys(drawn)


@pytest.mark.parametrize("true", [0, 1, 5, 11, 12])
@pytest.mark.parametrize("shape", [(12, 12), (12, 30), (30, 12)], ids=str)
def test_deficient_matrices(shape, true):
    generator = torch.Generator().manual_seed(3)
    left = torch.randn(2, shape[0], true, generator=generator, dtype=torch.float64)
    right = torch.randn(2, true, shape[1], generator=generator, dtype=torch.float64)
    assert rank(left @ right).tolist() == numpys(left @ right) == [true, true]


@pytest.mark.parametrize("largest", [1e-3, 1.0, 100.0, 1e5, 1e8])
@pytest.mark.parametrize("off", [-1e-3, 1e-3], ids=["below", "above"])
@pytest.mark.parametrize("shape", [(8, 8), (8, 20), (20, 8)], ids=str)
def test_singular_values_beside_the_tolerance(shape, off, largest):
    beside = RANK_TOLERANCE * (1 + off)
    values = [largest, largest / 2, *[beside] * 4, 0.0, 0.0]
    matrix = with_singular_values(values, shape)
    if largest == 1e8:  # float64 itself holds such a matrix to 1e-8 only: the values are blurred
        assert rank(matrix[None]).tolist() == numpys(matrix[None])
    else:
        assert rank(matrix[None]).tolist() == [6.0 if off > 0 else 2.0]


@pytest.mark.parametrize("tolerance", [1e-6, 1e-2, 1.0])
def test_other_tolerances(tolerance):
    values = [10.0, 1.001, 0.999, 1.001e-2, 0.999e-2, 1.001e-6, 0.999e-6, 0.0]
    matrix = with_singular_values(values, (8, 8))[None]
    assert rank(matrix, tolerance).tolist() == [float(sum(v > tolerance for v in values))]


def test_blocks_of_two_count_one_each():
    """Zeros on the diagonal of A A' - tolerance**2 force the factorization into 2 x 2 blocks."""
    unit = RANK_TOLERANCE  # rows of norm tolerance, not orthogonal: diagonal 0 after the shift
    rows = torch.tensor([[1.0, 0, 0, 0], [0.6, 0.8, 0, 0], [0, 0, 1.0, 0], [0, 0, 0.6, 0.8]])
    matrix = (rows.double() * unit)[None]
    assert rank(matrix).tolist() == numpys(matrix) == [2.0]


def test_zeros_have_no_rank():
    assert rank(torch.zeros(2, 5, 7)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_matrix_that_is_not_finite_has_no_rank_and_spoils_no_other(bad):
    matrices = torch.eye(4).repeat(3, 1, 1)
    matrices[1, 2, 3] = bad
    found = rank(matrices)
    assert found.dtype == torch.float64
    assert found.isnan().tolist() == [False, True, False]
    assert found[[0, 2]].tolist() == [4.0, 4.0]


def test_the_argument_is_left_alone():
    drawn = torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    before = drawn.clone()
    rank(drawn)
    assert torch.equal(drawn, before)


# --- of a trained arm


def low_rank(count, true, shape=(6, 9), seed=4):
    """Residuals of this rank on the identity: ``(count, *shape)``."""
    generator = torch.Generator().manual_seed(seed)
    left = torch.randn(count, shape[0], true, generator=generator)
    right = torch.randn(count, true, shape[1], generator=generator)
    return torch.eye(*shape) + left @ right


def test_the_residual_rank_is_the_largest_of_all_checkpoints():
    first, last = low_rank(2, 2), low_rank(2, 3, seed=5)
    last[1] = torch.eye(6, 9)
    trained = trained_with({LAYER: last}, kept={10: {LAYER: first}, 20: {LAYER: first}})
    assert residual_rank(trained, LAYER).tolist() == [3.0, 2.0]
    assert partial(residual_rank, layer=LAYER)(trained_with({LAYER: last})).tolist() == [3.0, 0.0]


def test_the_residual_rank_counts_from_its_tolerance():
    weight = torch.eye(4) + torch.diag(torch.tensor([1.0, 1e-3, 1e-6, 1e-12]))
    trained = trained_with({LAYER: weight[None].double()})
    ranks = [residual_rank(trained, LAYER, tolerance) for tolerance in (1e-2, 1e-4, 1e-10)]
    assert [r.tolist() for r in ranks] == [[1.0], [2.0], [3.0]]


def lit(pixels, shape=(1, 2, 2)):
    """A data set in which each of these pixels, counted row by row, is lit in one image."""
    images = torch.zeros(len(pixels) + 1, *shape)
    for image, pixel in zip(images, pixels, strict=False):
        image.view(-1)[pixel] = 0.5
    return replace(toy.data(), train_inputs=images)


@pytest.mark.parametrize(
    ("row", "column", "counted"), [(1, 3, 0), (3, 3, 0), (0, 1, 1), (1, 2, 1), (5, 5, 1), (1, 4, 1)]
)
def test_off_pixels_counts_entries_of_dark_pixels_and_of_padding(row, column, counted):
    """Four pixels, of which 1 and 3 are lit, and two units of padding."""
    weight = torch.eye(6)
    weight[row, column] += 0.25
    trained = trained_with({LAYER: torch.stack([weight, torch.eye(6)])}, data=lit([1, 3]))
    assert residual_off_pixels(trained, LAYER).tolist() == [counted, 0]


def test_off_pixels_counts_every_checkpoint_and_sees_nan_in_the_lit_block():
    weight = torch.eye(6)
    weight[0] += 1.0
    kept = {10: {LAYER: weight[None]}}
    trained = trained_with({LAYER: weight[None]}, kept=kept, data=lit([1, 3]))
    assert residual_off_pixels(trained, LAYER).tolist() == [12]
    broken = torch.eye(6)
    broken[1, 1] = torch.nan
    trained = trained_with({LAYER: broken[None]}, data=lit([1, 3]))
    assert residual_off_pixels(trained, LAYER).isnan().all()


def test_a_checkpoint_with_nan_gives_nan():
    first, last = low_rank(2, 2), low_rank(2, 3)
    first[1, 0, 0] = torch.nan
    found = residual_rank(trained_with({LAYER: last}, kept={10: {LAYER: first}}), LAYER)
    assert found[0] == 3.0
    assert found[1].isnan()


@pytest.mark.parametrize("inputs", [1, 3, 5])
def test_residual_outside_is_the_largest_entry_beyond_the_block(inputs):
    weights = [torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(s)) for s in (1, 2)]
    trained = trained_with({LAYER: weights[0]}, kept={10: {LAYER: weights[1]}})
    slow = []
    for r in range(2):
        entries = [
            abs(float(weight[r, i, j]) - (i == j))
            for weight in weights for i in range(6) for j in range(6)
            if i >= inputs or j >= inputs
        ]  # fmt: skip
        slow.append(max(entries))
    found = residual_outside(trained, LAYER, inputs)
    assert found.tolist() == pytest.approx(slow, rel=1e-6)


def test_residual_outside_ignores_the_block_and_sees_nan():
    weight = torch.eye(6).repeat(2, 1, 1)
    weight[:, :3, :3] = torch.nan
    trained = trained_with({LAYER: weight})
    assert residual_outside(trained, LAYER, 3).tolist() == [0.0, 0.0]
    assert residual_outside(trained, LAYER, 2).isnan().all()


def test_scipy_uses_no_more_threads_than_torch(monkeypatch):
    """Several processes count ranks at once, each on one core."""
    from scipy.linalg import lapack
    from threadpoolctl import threadpool_info

    used, factor = set(), lapack.dsytrf

    def watched(*args, **kwargs):
        used.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return factor(*args, **kwargs)

    monkeypatch.setattr(lapack, "dsytrf", watched)
    for count in (1, 2):
        with threads(count):
            rank(torch.eye(3)[None])
        assert used == {count}
        used.clear()
