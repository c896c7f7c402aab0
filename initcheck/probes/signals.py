"""Signals: logits and activations of a network, at its start or after training."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- torch's own name for it

from initcheck.probes.outcomes import final_loss
from initcheck.probes.probe import answered, largest
from initcheck.training.train import Trained

CLAMP = 1e-8  # notebook 003 clamps probabilities here
CAP = -math.log(CLAMP)  # the largest loss of one image then, 18.42 nats
POWERS = (-3, 1, 8)  # of two: exact in every binary format
BYTES = 255.0  # factor of images that were not divided by 255


def start_loss(trained: Trained) -> Tensor:
    """Cross-entropy of the test images in nats, before the first step."""
    return _cross_entropy(trained, _answers(trained))


def start_logit_range(trained: Trained) -> Tensor:
    """Largest difference between two logits of one test image, before the first step."""
    logits = _answers(trained)
    return largest(logits.amax(-1) - logits.amin(-1))


def clamped_loss_gap(trained: Trained) -> Tensor:
    """Distance of notebook 003's clamped loss from 18.42 nats times the share of wrong labels.

    Measured on the test images, before the first step.
    """
    logits, targets = _answers(trained).cpu().double(), trained.data.test_targets.cpu()
    right = logits.softmax(-1)[:, torch.arange(len(targets)), targets]  # (R, N)
    errors = (logits.argmax(-1) != targets).double().mean(1)
    return (-right.clamp(CLAMP, 1 - CLAMP).log().mean(1) - CAP * errors).abs()


def top_share(trained: Trained, layer: str = "output") -> Tensor:
    """Share of the largest singular value in the squared norm of a layer's inputs, at the start.

    Measured on 500 test images; 1 means that the inputs have rank one.
    """
    states = entering(trained, layer, trained.data.test_inputs[:500], at_start=True)
    squares = [torch.linalg.svdvals(x.cpu().double()).square() for x in states]
    return torch.stack([s[0] / s.sum() for s in squares])


def homogeneity_defect(trained: Trained) -> Tensor:
    """Largest entry of f(2ᵏ x) - 2ᵏ f(x) for k in -3, 1, 8, over 500 test images, at the start."""
    x = trained.data.test_inputs[:500]
    base = trained.logits(x, at_start=True)
    worst = [
        largest((trained.logits(x * 2.0**k, at_start=True) - base * 2.0**k).abs()) for k in POWERS
    ]
    return torch.stack(worst).amax(0)


def accuracy_kept_by_bytes(trained: Trained) -> Tensor:
    """Test accuracy on images in [0, 255] over the accuracy on images in [0, 1].

    NaN if any logit is not finite.
    """
    targets = trained.data.test_targets
    raw = trained.logits(trained.data.test_inputs * BYTES)
    before, after = (
        (logits.argmax(-1) == targets).double().mean(-1) for logits in (trained.test_logits, raw)
    )
    finite = answered(trained.test_logits) & answered(raw)
    return (after / before).cpu().where(finite, torch.nan)


def loss_ratio_by_bytes(trained: Trained) -> Tensor:
    """Test loss on images in [0, 255] over the loss on images in [0, 1]."""
    raw = trained.logits(trained.data.test_inputs * BYTES)
    return _cross_entropy(trained, raw) / _cross_entropy(trained, trained.test_logits)


def nats_learned(trained: Trained) -> Tensor:
    """ln(classes), the loss of guessing, less the mean training loss over all steps, in nats."""
    return math.log(trained.data.classes) - trained.losses.mean(1)


def final_nats_learned(trained: Trained) -> Tensor:
    """ln(classes) less the mean training loss over the last ten steps, in nats."""
    return math.log(trained.data.classes) - final_loss(trained)


def changed_between(trained: Trained, first: str, last: str) -> Tensor:
    """Largest difference between the inputs of two layers at the start, over 50 test images."""
    images = trained.data.test_inputs[:50]  # few: CPUs have no fast convolution in float64
    both = _entering(trained, (first, last), images, at_start=True)
    return torch.cat([largest((after - before).abs()[None]) for before, after in both])


def norm_change(trained: Trained, first: str, last: str) -> Tensor:
    """Largest relative change of an image's norm between the inputs of two layers, at the start.

    Measured on 50 test images.
    """
    both = _entering(trained, (first, last), trained.data.test_inputs[:50], at_start=True)
    ratios = [_norms(after) / _norms(before) for before, after in both]
    return largest((torch.stack(ratios) - 1).abs())


def _norms(states: Tensor) -> Tensor:
    """The norm of each image's state: ``(N, ...)`` to ``(N,)`` float64."""
    norms: Tensor = states.cpu().double().flatten(1).norm(dim=1)
    return norms


def state_size(trained: Trained, layer: str) -> Tensor:
    """Root mean square of a layer's inputs at the start, over 500 test images."""
    states = entering(trained, layer, trained.data.test_inputs[:500], at_start=True)
    return torch.stack([x.cpu().double().square().mean().sqrt() for x in states])


def entering(trained: Trained, layer: str, inputs: Tensor, *, at_start: bool) -> Iterator[Tensor]:
    """The inputs of a layer, one replica after the other: ``(N, features)``."""
    for (seen,) in _entering(trained, (layer,), inputs, at_start=at_start):
        yield seen


def _entering(
    trained: Trained, layers: Sequence[str], inputs: Tensor, *, at_start: bool
) -> Iterator[list[Tensor]]:
    """The inputs of each layer in one forward pass, one replica after the other."""
    module = trained.arm.build(trained.seeds[0]).to(trained.device).eval()
    seen: dict[str, Tensor] = {}
    for name in layers:

        def note(_: nn.Module, given: tuple[Tensor, ...], name: str = name) -> None:
            seen[name] = given[0]

        module.get_submodule(name).register_forward_pre_hook(note)
    for state in trained.replicas(at_start=at_start):
        with torch.no_grad():
            torch.func.functional_call(module, state, (inputs,))
        yield [seen[name] for name in layers]


def _answers(trained: Trained) -> Tensor:
    """The logits of the test images at the start, computed once for all probes of an arm."""
    answers: Tensor = trained.once(_start_logits)
    return answers


def _start_logits(trained: Trained) -> Tensor:
    return trained.logits(trained.data.test_inputs, at_start=True)


def _cross_entropy(trained: Trained, logits: Tensor) -> Tensor:
    targets = trained.data.test_targets
    each = [F.cross_entropy(answer.cpu().double(), targets.cpu()) for answer in logits]
    return torch.stack(each)
