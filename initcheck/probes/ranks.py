"""Ranks: of the residual W - I, and where that residual may not be."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from initcheck.devices import compute
from initcheck.probes.probe import largest
from initcheck.training.train import Trained

RANK_TOLERANCE = 1e-4  # notebook 002: numpy.linalg.matrix_rank(W - I, tol=1e-4)

CLEAR = 1e3  # times the rounding of A Aᵀ: then singular values 1e-3 off the tolerance count right


def residual_rank(trained: Trained, layer: str) -> Tensor:
    """Largest numerical rank of W - I over the kept checkpoints and the end.

    The rank counts singular values above 1e-4, as notebook 002 does.
    """
    weights = [kept[layer] for kept in trained.kept.values()] + [trained.parameters[layer]]
    return torch.stack([rank(weight - _identity(weight)) for weight in weights]).amax(0)


def residual_outside(trained: Trained, layer: str, inputs: int) -> Tensor:
    """Largest absolute entry of W - I outside its leading ``inputs`` x ``inputs`` block."""
    weights = [kept[layer] for kept in trained.kept.values()] + [trained.parameters[layer]]
    residuals = torch.stack([(weight - _identity(weight)).abs() for weight in weights], 1)
    residuals[..., :inputs, :inputs] = 0
    return largest(residuals)


def _identity(weight: Tensor) -> Tensor:
    return torch.eye(*weight.shape[-2:], dtype=weight.dtype, device=weight.device)


def rank(matrices: Tensor, tolerance: float = RANK_TOLERANCE) -> Tensor:
    """Numerical rank of each matrix: how many singular values exceed ``tolerance``.

    Counts the positive eigenvalues of A Aᵀ - tolerance² 1 in float64 by Sylvester's law of inertia:
    the signs in D of L D Lᵀ are those of the eigenvalues, and a 2 x 2 block of Bunch and Kaufman's
    pivoting always holds one of each sign (Bunch & Kaufman 1977, Math. Comp. 31, 163, section 2).
    A matrix so large that its square drowns tolerance² in rounding gets a singular value
    decomposition, which is slower.

    Args:
        matrices: ``(R, n, m)``, any dtype and device; computed on the CPU.
        tolerance: absolute.

    Returns:
        ``(R,)`` float64.
    """
    found = matrices.detach().cpu()
    ranks = [_inertia(_core(m), tolerance) if m.isfinite().all() else torch.nan for m in found]
    return torch.tensor(ranks, dtype=torch.float64)


def _inertia(matrix: Tensor, tolerance: float) -> int:
    size = float(matrix.norm())
    if size == 0:
        return 0
    if tolerance**2 < CLEAR * torch.finfo(torch.float64).eps * size**2:
        return int((torch.linalg.svdvals(matrix) > tolerance).sum())
    from scipy.linalg import blas, lapack  # noqa: PLC0415 -- scipy.linalg costs a tenth of a second

    # (n, m) in rows is (m, n) in columns; half the work of a plain product, and all that is read
    with compute.scipy_threads():
        shifted = blas.dsyrk(1.0, matrix.numpy().T, trans=1, lower=1)
        shifted[np.diag_indices_from(shifted)] -= tolerance**2
        room = int(lapack.dsytrf_lwork(len(shifted), lower=1)[0])
        factor, pivots, _ = lapack.dsytrf(shifted, lower=1, lwork=room, overwrite_a=1)
    single = pivots > 0  # LAPACK marks both rows of a 2 x 2 block with a negative pivot
    return int((single & (factor.diagonal() > 0)).sum() + (~single).sum() // 2)


def _core(matrix: Tensor) -> Tensor:
    """The matrix or its transpose in float64, no more rows than columns, without zero ones.

    They add nothing to the rank, and a capped residual has a quarter of them.
    """
    for dim in (1, 0):
        used = (matrix != 0).any(dim)
        if not used.all():
            matrix = matrix.index_select(1 - dim, used.nonzero()[:, 0])
    return (matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT).double().contiguous()
