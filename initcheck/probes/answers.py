"""Answers: what the network says before training, and to a handful of images after it."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.probes.common import largest
from initcheck.training import Trained

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
