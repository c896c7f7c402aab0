"""Losses as a forward pass computes them, compared with what a start without knowledge gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_ROWS = 1024  # of logits are converted to float32 at once


@dataclass(frozen=True)
class Loss:
    """One loss function that was called.

    Attributes:
        kind: ``cross entropy``, ``binary cross entropy`` or ``mean squares``.
        value: the mean over targets.
        chance: what equal probabilities give, or a prediction of zero.
        without_labels: what these predictions cost if every class were the target equally often.
        classes: the number of classes; 0 for mean squares.
        targets: how many different targets there are.
        sources: what it sees first; see `initcheck.inspection.sources`.
        cosines: whether its logits are cosines of vectors, times a scale.
    """

    kind: str
    value: float
    chance: float
    without_labels: float
    classes: int
    targets: int
    sources: tuple[str, ...] = ()
    cosines: bool = False


@torch.no_grad()
def observed_loss(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Loss | None:
    """What a call of a loss function gives, as a mean over targets; None if it is not understood.

    Weights, label smoothing and the reduction are ignored.
    """
    with torch._C.DisableTorchFunction():  # noqa: SLF001
        given = {**dict(zip(("input", "target"), args, strict=False)), **kwargs}
        prediction, target = given.get("input"), given.get("target")
        if not isinstance(prediction, Tensor) or not isinstance(target, Tensor):
            return None
        prediction, target = prediction.detach(), target.detach()
        target = target.long() if target.dtype == torch.uint8 else target  # no index has this dtype
        if not prediction.numel() or not prediction.is_floating_point():
            return None
        if func in _CLASSES:
            ignored = kwargs.get("ignore_index", args[4] if len(args) > 4 else -100)
            return _cross_entropy(prediction, target, ignored)
        if prediction.shape != target.shape:
            return None
        if func is nn.functional.binary_cross_entropy_with_logits:
            return _binary(prediction, target)
        return Loss(
            "mean squares",
            float((prediction.float() - target.float()).square().mean()),
            float(target.float().square().mean()),
            float(prediction.float().square().mean()), 0, target.numel(),
        )  # fmt: skip


def _cross_entropy(prediction: Tensor, target: Tensor, ignored: int) -> Loss | None:
    if prediction.dim() < 1 or target.is_floating_point():
        return None
    place = 1 if prediction.dim() > 1 else 0
    logits = prediction.movedim(place, -1)
    if logits.shape[:-1] != target.shape:
        return None
    classes = logits.shape[-1]
    logits, target = logits.reshape(-1, classes), target.reshape(-1)
    kept = (target != ignored) & (target >= 0) & (target < classes)
    if classes < 2 or not bool(kept.any()):
        return None
    value = without = 0.0
    for first in range(0, len(target), _ROWS):
        part = slice(first, first + _ROWS)
        chosen = kept[part]
        rows = logits[part][chosen].float()
        sums = rows.logsumexp(-1)
        value += float((sums - rows.gather(1, target[part][chosen][:, None])[:, 0]).sum())
        without += float((sums - rows.mean(-1)).sum())
    count = int(kept.sum())
    different = len(torch.unique(target[kept]))
    return Loss(
        "cross entropy", value / count, math.log(classes), without / count, classes, different
    )


def _binary(prediction: Tensor, target: Tensor) -> Loss:
    logits = prediction.float()
    value = nn.functional.binary_cross_entropy_with_logits(logits, target.float())
    without = nn.functional.softplus(logits).mean() - logits.mean() / 2
    return Loss(
        "binary cross entropy", float(value), math.log(2), float(without), 2,
        len(torch.unique(target.float()[:4096])),
    )  # fmt: skip


_CLASSES = (nn.functional.cross_entropy, nn.functional.nll_loss)
LOSSES = (
    *_CLASSES, nn.functional.binary_cross_entropy_with_logits, nn.functional.mse_loss,
)  # fmt: skip
