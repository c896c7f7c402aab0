"""The residual W - I of a weight: its numerical rank, and its entries outside a block."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from initcheck.devices import compute
from initcheck.probes.probe import largest
from initcheck.training.train import Trained

RANK_TOLERANCE = 1e-4  # notebook 002: numpy.linalg.matrix_rank(W - I, tol=1e-4)
# tolerance² over the rounding error of A Aᵀ. At 1e3, singular values are counted right if they are
# 1e-3, relatively, off the tolerance.
CLEAR = 1e3


def residual_rank(trained: Trained, layer: str, tolerance: float = RANK_TOLERANCE) -> Tensor:
    """Largest numerical rank of W - I over the kept checkpoints and the end of training.

    The rank counts singular values above the tolerance, by default 1e-4 as in notebook 002.
    """
    weights = [kept[layer] for kept in trained.kept.values()] + [trained.parameters[layer]]
    return torch.stack([rank(weight - _identity(weight), tolerance) for weight in weights]).amax(0)


def residual_off_pixels(trained: Trained, layer: str) -> Tensor:
    """Number of nonzero entries of W - I in a row or a column that belongs to no lit pixel.

    Row and column i of a square weight belong to pixel i, which is lit if a training image lights
    it. Counted at the kept checkpoints and at the end of training; NaN if an entry is not finite.
    """
    weights = [kept[layer] for kept in trained.kept.values()] + [trained.parameters[layer]]
    lit = (trained.data.train_inputs != 0).flatten(1).any(0).to(weights[0].device)
    residuals = torch.stack([weight - _identity(weight) for weight in weights], 1)  # (R, K, N, N)
    finite = residuals.isfinite().flatten(1).all(1)
    width = len(lit)
    residuals[..., :width, :width] *= ~(lit[:, None] & lit)
    return (residuals != 0).flatten(1).sum(1).double().where(finite, torch.nan).cpu()


def residual_outside(trained: Trained, layer: str, inputs: int) -> Tensor:
    """How far the residual W - I reaches outside its leading ``inputs`` x ``inputs`` block.

    This is its largest absolute entry there, over the kept checkpoints and the end of training, per
    seed: ``(S,)``, in units of a weight. It is 0 if training changes only the weights between units
    that carry an input.
    """
    weights = [kept[layer] for kept in trained.kept.values()] + [trained.parameters[layer]]
    residuals = torch.stack([(weight - _identity(weight)).abs() for weight in weights], 1)
    residuals[..., :inputs, :inputs] = 0
    return largest(residuals)


def _identity(weight: Tensor) -> Tensor:
    return torch.eye(*weight.shape[-2:], dtype=weight.dtype, device=weight.device)


def rank(matrices: Tensor, tolerance: float = RANK_TOLERANCE) -> Tensor:
    """Numerical rank of each matrix: the number of singular values above ``tolerance``.

    Counts the positive eigenvalues of A Aᵀ - tolerance² 1 in float64 by Sylvester's law of inertia:
    in the factorization L D Lᵀ, D has as many positive eigenvalues, and each 2 x 2 block of Bunch
    and Kaufman's pivoting has one positive and one negative (Bunch & Kaufman 1977, Math. Comp. 31,
    163, section 2). If tolerance² is too close to the rounding error of A Aᵀ, the singular values
    are computed instead, which is slower.

    Args:
        matrices: ``(R, n, m)``, any dtype and device; computed on the CPU.
        tolerance: an absolute value.

    Returns:
        ``(R,)`` float64; NaN for a matrix that is not finite.
    """
    on_cpu = matrices.detach().cpu()
    ranks = [_inertia(_core(m), tolerance) if m.isfinite().all() else torch.nan for m in on_cpu]
    return torch.tensor(ranks, dtype=torch.float64)


def _inertia(matrix: Tensor, tolerance: float) -> int:
    size = float(matrix.norm())
    if size == 0:
        return 0
    if tolerance**2 < CLEAR * torch.finfo(torch.float64).eps * size**2:
        return int((torch.linalg.svdvals(matrix) > tolerance).sum())
    from scipy.linalg import blas, lapack  # noqa: PLC0415 -- scipy.linalg costs a tenth of a second

    # dsyrk computes one triangle of A Aᵀ, which is half the work and all that dsytrf reads. numpy's
    # (n, m) in row order is LAPACK's (m, n) in column order.
    with compute.scipy_threads():
        shifted = blas.dsyrk(1.0, matrix.numpy().T, trans=1, lower=1)
        shifted[np.diag_indices_from(shifted)] -= tolerance**2
        workspace = int(lapack.dsytrf_lwork(len(shifted), lower=1)[0])
        factor, pivots, _ = lapack.dsytrf(shifted, lower=1, lwork=workspace, overwrite_a=1)
    single = pivots > 0  # LAPACK marks both rows of a 2 x 2 block with a negative pivot
    return int((single & (factor.diagonal() > 0)).sum() + (~single).sum() // 2)


def _core(matrix: Tensor) -> Tensor:
    """The matrix in float64 without its zero rows and columns, transposed to have few rows.

    Zero rows and columns do not change the rank, and a quarter of a capped residual's are zero.
    """
    for dim in (1, 0):
        used = (matrix != 0).any(dim)
        if not used.all():
            matrix = matrix.index_select(1 - dim, used.nonzero()[:, 0])
    return (matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT).double().contiguous()
