"""Outcomes: accuracy, loss, and what is predicted."""

from __future__ import annotations

import torch
from torch import Tensor

from initcheck.probes.common import answered, largest
from initcheck.training import Trained

LOSS_WINDOW = 10  # steps averaged into final_loss: a batch of 32 alone is too noisy


def test_accuracy(trained: Trained) -> Tensor:
    """Share of the test images that are labelled right; NaN where a logit is not finite."""
    right = trained.test_logits.argmax(-1) == trained.data.test_targets
    return right.double().mean(-1).cpu().where(_finite(trained), torch.nan)


test_accuracy.__test__ = False  # type: ignore[attr-defined]  # a probe, not one of pytest's tests


def final_loss(trained: Trained) -> Tensor:
    """Training loss in nats, mean over the last ten steps; NaN where no step was taken."""
    return trained.losses[:, -LOSS_WINDOW:].mean(1)


def epoch_loss(trained: Trained) -> Tensor:
    """Training loss in nats, mean over all steps: what a notebook prints after its first epoch."""
    return trained.losses.mean(1)


def first_loss(trained: Trained) -> Tensor:
    """Training loss in nats before the first step; NaN where no step was taken."""
    return trained.losses[:, :1].mean(1)


def classes_predicted(trained: Trained) -> Tensor:
    """How many classes the network predicts on the test images; NaN as in ``test_accuracy``."""
    answers = trained.test_logits.argmax(-1)  # (R, N)
    counts = [float(len(row.unique())) for row in answers]
    return torch.tensor(counts, dtype=torch.float64).where(_finite(trained), torch.nan)


def _finite(trained: Trained) -> Tensor:
    """Which replicas answer the test images, ``(R,)``."""
    return answered(trained.test_logits)


def logit_spread(trained: Trained) -> Tensor:
    """Largest difference of one logit between two test images."""
    return largest(trained.test_logits.amax(1) - trained.test_logits.amin(1))
