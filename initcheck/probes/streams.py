"""Streams of transformers: what branches add, and what a text costs before the first step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from initcheck.networks.transformers import Residual
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


# --- gradients and first steps of networks in `initcheck.networks.transformers` -------------------


def last_gradient(trained: Trained) -> Tensor:
    """Norm of the gradient of the last layer of the last branch, at the start, on the first batch.

    Of a network without buffers.
    """
    module = trained.arm.build(trained.seeds[0]).to(trained.device)
    layer = f"{_branches(module)[-1]}.inner.project.weight"
    norms = []
    for images, state in zip(trained.first_batch, trained.replicas(at_start=True), strict=True):
        weight = state[layer].requires_grad_()
        chosen = images.to(trained.device)
        inputs, targets = trained.data.train_inputs[chosen], trained.data.train_targets[chosen]
        logits = torch.func.functional_call(module, state, (inputs,))
        (grad,) = torch.autograd.grad(cross_entropy(logits, targets), weight)
        norms.append(grad.double().norm().cpu())
    return torch.stack(norms)


def log_last_gradient(trained: Trained) -> Tensor:
    """Decimal logarithm of ``last_gradient``."""
    return last_gradient(trained).log10()


def log_logits_moved(trained: Trained) -> Tensor:
    """Decimal logarithm of how far training moved the logits: a root mean square.

    Measured on the first 64 test inputs.
    """
    inputs = trained.data.test_inputs[:FEW]
    moved = (trained.logits(inputs) - trained.logits(inputs, at_start=True)).double()
    return moved.flatten(1).square().mean(1).sqrt().log10().cpu()


def stream_moved(trained: Trained) -> Tensor:
    """How far training moved the stream after the last branch: a root mean square.

    Measured on the first 64 test inputs, over all tokens and units.
    """
    moved: Tensor = trained.once(_stream_moved)
    return moved


def _stream_moved(trained: Trained) -> Tensor:
    inputs = trained.data.test_inputs[:FEW]
    last = len(_branches(trained.arm.build(trained.seeds[0])))
    before, after = (
        entering(trained, f"blocks.{last}", inputs, at_start=at_start) for at_start in (True, False)
    )
    moved = [(y - x).cpu().double() for x, y in zip(before, after, strict=True)]
    return torch.stack([x.square().mean().sqrt() for x in moved])


def log_stream_moved(trained: Trained) -> Tensor:
    """Decimal logarithm of ``stream_moved``."""
    return stream_moved(trained).log10()


def _branches(module: nn.Module) -> list[str]:
    """The names of a transformer's branches, in order.

    Raises:
        TypeError: it has none.
    """
    names = [name for name, part in module.named_modules() if isinstance(part, Residual)]
    if not names:
        raise TypeError(
            f"{type(module).__name__} has no branch whose stream could be followed. Build it with "
            "initcheck.networks.transformers."
        )
    return names
