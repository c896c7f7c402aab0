"""Outcomes: accuracy, loss, and what is predicted."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.probes.probe import answered, largest
from initcheck.training.train import Trained

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


FEW = 32  # images: enough to differ, cheap for a convolutional network
APART = 1e-3  # of a logit: a thousand times what the order of summing makes of logits near one


def few_logit_spread(trained: Trained) -> Tensor:
    """Largest difference of one logit between two of the first 32 test images."""
    logits = trained.logits(trained.data.test_inputs[:FEW])  # (R, 32, classes)
    return largest(logits.amax(1) - logits.amin(1))


def images_told_apart(trained: Trained) -> Tensor:
    """1 for a seed that answers two of the first 32 test images otherwise, else 0.

    By more than 1e-3 of a logit; NaN where an answer is no number.
    """
    spread = few_logit_spread(trained)
    return (spread > APART).double().where(spread.isfinite(), torch.nan)


def loss_off_chance(trained: Trained) -> Tensor:
    """How far the loss before the first step is from ln(classes), in nats, absolute."""
    return (trained.losses[:, 0] - math.log(trained.data.classes)).abs()


def loss_off_entropy(trained: Trained) -> Tensor:
    """How far the mean loss over all training images is from their labels' entropy, in nats.

    Absolute, and after training. Answers that are the same for every image have no lower mean loss
    than that entropy: Cover & Thomas 2006, Elements of Information Theory, theorem 2.6.3.
    """
    data = trained.data
    share = torch.bincount(data.train_targets.cpu()).double() / len(data.train_targets)
    entropy: Tensor = torch.special.entr(share).sum()
    logits = trained.logits(data.train_inputs).double()  # (R, N, classes)
    losses = [F.cross_entropy(answers, data.train_targets) for answers in logits]
    return (torch.stack(losses).cpu() - entropy).abs()


def loss_movement(trained: Trained) -> Tensor:
    """Largest relative change of the training loss since the first step.

    With all training images in every batch nothing but the parameters can change it.
    """
    first = trained.losses[:, :1]
    return largest((trained.losses - first).abs() / first)
