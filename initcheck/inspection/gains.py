"""A check of the gains of norms: one that is drawn as a weight is silences what the norm feeds."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from initcheck.inspection.findings import Finding
from initcheck.inspection.start import Start
from initcheck.inspection.tensors import Named

#: torch's own norms, all of which multiply by their weight.
NORMS = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, nn.modules.batchnorm._NormBase)  # noqa: SLF001 -- of all kinds
FEW = 8  # entries: the mean of fewer may be off by its deviation


def check_gains(start: Start) -> Iterator[Finding]:
    """Gains of norms that were drawn around zero.

    A gain is stored as a weight is, so a rule by name or by shape draws it too. The first loss does
    not show it: a network that its norms silence starts at the loss of guessing.
    """
    drawn = [
        each for name, each in start.tensors.items()
        if each.trainable and name in start.laws and name not in start.fixed
        and _around_zero(start, each) and _multiplies(each)
    ]  # fmt: skip
    if drawn:
        measured = start.laws[drawn[0].name].moments
        size = math.sqrt(measured.variance + measured.mean**2)
        yield start.finding(
            "scale", "warn", drawn, value=size,
            message="Gains of norms were drawn around zero, with a root mean square of "
            f"{size:.2g}: outputs of the norm have that size instead of 1, and about half of them "
            "the other sign.",
            repair="Leave gains at one: initialize by the type of the layer, not by name or shape.",
        )  # fmt: skip


def _around_zero(start: Start, each: Named) -> bool:
    measured = start.laws[each.name].moments
    return measured.count >= FEW and measured.variance > 0 and (
        measured.mean**2 <= measured.variance
    )  # fmt: skip


def _multiplies(each: Named) -> bool:
    """Whether a parameter is the gain of a norm: torch's own, or one that is silent at gain zero.

    Some norms store the gain less one, and are not.
    """
    if isinstance(each.owner, NORMS):
        return each.attribute == "weight"
    if "norm" not in type(each.owner).__name__.lower() or each.tensor.dim() != 1:
        return False
    try:
        return _silent(each.owner, each.attribute, each.tensor.detach())
    except Exception:  # noqa: BLE001 -- a custom layer may need anything
        return False


@torch.no_grad()
def _silent(owner: nn.Module, name: str, gain: Tensor) -> bool:
    """Whether the norm answers two inputs alike once this parameter is zero, and not at one."""
    norm = copy.deepcopy(owner).eval()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, len(gain), generator=generator).to(gain)
    answers = []
    for value in (0.0, 1.0):
        getattr(norm, name).fill_(value)
        first, second = norm(x)
        answers.append(torch.equal(first, second))
    return answers == [True, False]
