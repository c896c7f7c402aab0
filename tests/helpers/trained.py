"""A result of training made by hand, for the tests of probes."""

from __future__ import annotations

import torch

from initcheck.training.train import Trained
from tests.helpers import toy


def trained_with(parameters, *, start=None, kept=None, losses=None, arm=None, data=None):
    """Replicas with these parameters ``{name: (R, ...)}``; all that is not given is empty."""
    replicas = len(next(iter(parameters.values())))
    return Trained(
        arm=arm or toy.arm(), seeds=tuple(range(replicas)), device="cpu", data=data or toy.data(),
        start=start or parameters, start_buffers={},
        first_batch=torch.zeros(replicas, 0, dtype=torch.int64),
        parameters=parameters, buffers={},
        losses=torch.zeros(replicas, 0).double() if losses is None else losses,
        kept=kept or {}, engine="by hand",
    )  # fmt: skip
