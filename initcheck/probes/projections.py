"""Attention layers: the variance of their projections at the start, against a law."""

from __future__ import annotations

import math

from torch import Tensor

from initcheck.probes.starts import KURTOSIS
from initcheck.training.train import Trained


def query_variance_error(trained: Trained, law: float) -> Tensor:
    """Distance of the second moment of the query projection from ``law`` / D, in standard errors.

    The projection is the first third of the packed weight, or a weight of its name. D is its width.
    """
    start, packed = trained.start, "attention.in_proj_weight"
    weight = start[packed].chunk(3, 1)[0] if packed in start else start["attention.q_proj_weight"]
    return _error(weight, law)


def output_variance_error(trained: Trained, law: float) -> Tensor:
    """Distance of the second moment of the output projection from ``law`` / D, as above."""
    return _error(trained.start["attention.out_proj.weight"], law)


def _error(weight: Tensor, law: float) -> Tensor:
    """In standard errors of a uniform law; ``weight`` is ``(R, D, D)``."""
    ratio = weight.double().square().flatten(1).mean(1) * weight.shape[2] / law
    return (ratio - 1).abs() / math.sqrt((KURTOSIS["uniform"] - 1) / weight[0].numel())
