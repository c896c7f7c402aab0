"""Outcomes of training: accuracy, predicted classes, losses, and differences between logits.

Each probe returns ``(R,)`` float64 on the CPU, one value per seed.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.probes.probe import answered, largest
from initcheck.training.train import Trained

# --- predictions on the test images ---------------------------------------------------------------


def test_accuracy(trained: Trained) -> Tensor:
    """Share of test images with the right label; NaN if any logit is not finite."""
    right = trained.test_logits.argmax(-1) == trained.data.test_targets
    return right.double().mean(-1).cpu().where(_finite(trained), torch.nan)


test_accuracy.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it as a test


def classes_predicted(trained: Trained) -> Tensor:
    """Number of different classes predicted on the test images; NaN if any logit is not finite."""
    answers = trained.test_logits.argmax(-1)  # (R, N)
    counts = [float(len(row.unique())) for row in answers]
    return torch.tensor(counts, dtype=torch.float64).where(_finite(trained), torch.nan)


def _finite(trained: Trained) -> Tensor:
    """Which replicas have only finite logits on the test images, ``(R,)`` bool."""
    return answered(trained.test_logits)


# --- losses, in nats ------------------------------------------------------------------------------

LOSS_WINDOW = 10  # steps averaged into final_loss: one batch of 32 is too noisy


def first_loss(trained: Trained) -> Tensor:
    """Training loss in nats before the first step; NaN without steps."""
    return trained.losses[:, :1].mean(1)


def final_loss(trained: Trained) -> Tensor:
    """Training loss in nats, mean over the last ten steps; NaN without steps."""
    return trained.losses[:, -LOSS_WINDOW:].mean(1)


def epoch_loss(trained: Trained) -> Tensor:
    """Training loss in nats, mean over all steps, as the notebooks print it after an epoch."""
    return trained.losses.mean(1)


def loss_movement(trained: Trained) -> Tensor:
    """Largest relative change of the training loss since the first step.

    If every batch holds all training images, only a change of the parameters can change it.
    """
    first = trained.losses[:, :1]
    return largest((trained.losses - first).abs() / first)


def loss_off_chance(trained: Trained) -> Tensor:
    """Absolute distance, in nats, of the loss before the first step from ln(classes)."""
    return (trained.losses[:, 0] - math.log(trained.data.classes)).abs()


def loss_off_entropy(trained: Trained) -> Tensor:
    """Absolute distance, in nats, of the loss after training from the labels' entropy.

    The loss is the mean over all training images. If the logits are the same for every image, it is
    at least the entropy: Cover & Thomas 2006, Elements of Information Theory, theorem 2.6.3.
    """
    data = trained.data
    share = torch.bincount(data.train_targets.cpu()).double() / len(data.train_targets)
    entropy: Tensor = torch.special.entr(share).sum()
    logits = trained.logits(data.train_inputs).double()  # (R, N, classes)
    losses = [F.cross_entropy(answers, data.train_targets) for answers in logits]
    return (torch.stack(losses).cpu() - entropy).abs()


# --- differences between images -------------------------------------------------------------------

FEW = 32  # images: enough to differ, cheap for a convolutional network
APART = 1e-3  # in logits: a thousand times what the order of summation changes in logits near one


def logit_spread(trained: Trained) -> Tensor:
    """Largest difference of one logit between two test images."""
    return largest(trained.test_logits.amax(1) - trained.test_logits.amin(1))


def few_logit_spread(trained: Trained) -> Tensor:
    """Largest difference of one logit between two of the first 32 test images."""
    logits = trained.logits(trained.data.test_inputs[:FEW])  # (R, 32, classes)
    return largest(logits.amax(1) - logits.amin(1))


def images_told_apart(trained: Trained) -> Tensor:
    """1 if a logit differs by more than 1e-3 between two of the first 32 test images, else 0.

    NaN if the difference is not finite.
    """
    spread = few_logit_spread(trained)
    return (spread > APART).double().where(spread.isfinite(), torch.nan)
