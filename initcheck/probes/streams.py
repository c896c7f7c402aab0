"""Streams of transformers: what branches add, and what a text costs before the first step."""

from __future__ import annotations

import torch
from torch import Tensor

from initcheck.probes.signals import entering
from initcheck.training.train import Trained
from initcheck.training.work import cross_entropy

FEW = 64  # texts or images


def moment_added(trained: Trained, first: str, last: str) -> Tensor:
    """Mean square of what is added to the stream between two layers' inputs, at the start.

    Measured on the first 64 test inputs, over all tokens and units.
    """
    inputs = trained.data.test_inputs[:FEW]
    before, after = (entering(trained, layer, inputs, at_start=True) for layer in (first, last))
    pairs = zip(before, after, strict=True)
    return torch.stack([(y - x).cpu().double().square().mean() for x, y in pairs])


def start_text_loss(trained: Trained) -> Tensor:
    """Cross-entropy of the first 64 test inputs in nats, before the first step."""
    data = trained.data
    logits = trained.logits(data.test_inputs[:FEW], at_start=True).double()
    losses = [cross_entropy(answer, data.test_targets[:FEW]) for answer in logits]
    return torch.stack(losses).cpu()


def loss_off_shares(trained: Trained) -> Tensor:
    """Distance in nats of ``start_text_loss`` from the cross-entropy of the symbols' shares.

    The shares are those of the training targets, each symbol counted once more than it occurs.
    """
    data = trained.data
    counts = data.train_targets.flatten().bincount(minlength=data.classes).double() + 1
    expected = -(counts / counts.sum()).log()[data.test_targets[:FEW]].mean()
    return (start_text_loss(trained) - expected.cpu()).abs()
