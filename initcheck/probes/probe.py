"""What every probe is, and the functions that probes share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from initcheck.training.train import Trained

Probe = Callable[[Trained], Tensor]
#: How an arm differs from a reference, which has the same seeds: one value per seed.
Difference = Callable[[Trained, Trained], Tensor]


def name_of(probe: Probe | Difference) -> str:
    """The name of a probe's function, by which limits.toml and the tables call it."""
    return name_of(probe.func) if isinstance(probe, partial) else getattr(probe, "__name__", "")


def answered(logits: Tensor) -> Tensor:
    """Which replicas have only finite logits, ``(R,)``: the argmax over a NaN means nothing."""
    return logits.isfinite().flatten(1).all(1).cpu()


def largest(x: Tensor) -> Tensor:
    """The largest entry of each replica, ``(R,)`` float64 on the CPU; NaN stays NaN."""
    return x.reshape(len(x), -1).amax(1).double().cpu()
