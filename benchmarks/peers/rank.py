"""Times the numerical rank of a residual: the number of its singular values above 1e-4."""

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.peers.names import NUMPY, OURS
from initcheck.probes.ranks import RANK_TOLERANCE, rank


@dataclass(frozen=True)
class Residual:
    """``W - I`` of rank 784 in float32, as a layer after 784 inputs can have learned it."""

    size: int
    true_rank: int = 784

    @property
    def matrix(self):
        """A matrix with singular values around 0.01, far above the tolerance."""
        generator = torch.Generator().manual_seed(0)
        shape = (self.size, min(self.true_rank, self.size))
        left, right = (torch.randn(*shape, generator=generator) for _ in range(2))
        return left @ right.T * (0.01 / self.size)


def _initcheck(residual):
    matrices = residual.matrix[None]
    return lambda: rank(matrices).numpy()


def _numpy(dtype):
    def prepare(residual):
        matrix = residual.matrix.numpy().astype(dtype)
        return lambda: np.array([np.linalg.matrix_rank(matrix, tol=RANK_TOLERANCE)])

    return prepare


TOOLS = {OURS: _initcheck, NUMPY[0]: _numpy(np.float64), NUMPY[1]: _numpy(np.float32)}
