"""How an arm differs from a reference: 0 only if both are equal in bits."""

from __future__ import annotations

from torch import Tensor

from initcheck.probes.probe import largest
from initcheck.training.train import Trained


def loss_difference(trained: Trained, reference: Trained) -> Tensor:
    """Largest absolute difference of the two training losses over all steps, ``(R,)`` float64."""
    return largest((trained.losses - reference.losses).abs())


def logit_difference(trained: Trained, reference: Trained) -> Tensor:
    """Largest absolute difference of the two networks' logits after training, ``(R,)`` float64.

    Logits are compared, not weights: arms that compute the same may hold it in other numbers.
    """
    return largest((trained.test_logits.double() - reference.test_logits.double()).abs())


def start_logit_difference(trained: Trained, reference: Trained) -> Tensor:
    """Largest absolute difference of the logits of the test images at the start, float64."""
    images = trained.data.test_inputs
    ours, theirs = (each.logits(images, at_start=True) for each in (trained, reference))
    return largest((ours.double() - theirs.double()).abs())
