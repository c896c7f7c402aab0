"""How many singular values of a residual exceed 1e-4, as a training leaves it behind."""

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.peers.names import NUMPY, OURS
from initcheck.probes.ranks import RANK_TOLERANCE, rank


@dataclass(frozen=True)
class Residual:
    """``W - I`` of rank 784, float32: what a layer behind 784 inputs can have learnt."""

    size: int
    true_rank: int = 784

    @property
    def matrix(self):
        """Singular values around 0.01, which is far from the tolerance."""
        generator = torch.Generator().manual_seed(0)
        shape = (self.size, min(self.true_rank, self.size))
        left, right = (torch.randn(*shape, generator=generator) for _ in range(2))
        return left @ right.T * (0.01 / self.size)


def _initcheck(residual):
    matrices = residual.matrix[None]
    return lambda: rank(matrices).numpy()


def _numpy(dtype):
    def make(residual):
        matrix = residual.matrix.numpy().astype(dtype)
        return lambda: np.array([np.linalg.matrix_rank(matrix, tol=RANK_TOLERANCE)])

    return make


WAYS = {OURS: _initcheck, NUMPY[0]: _numpy(np.float64), NUMPY[1]: _numpy(np.float32)}
