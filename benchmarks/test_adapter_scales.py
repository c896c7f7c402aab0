"""Scales of adapters: which starts keep the base, which scale makes a step blind to the rank."""

from initcheck import SGD, Adam, Arm, Recipe, claim
from initcheck.initializers import torch_default
from initcheck.networks import pooled
from initcheck.networks.adapters import dora, pissa
from initcheck.networks.ranks import two_ranks
from initcheck.notebooks.arms import START
from initcheck.probes.adapters import base_gap, first_step_ratio

BASE = pooled(16, 10, by=4)  # 49 pixels, 16 hidden units
RANK = 2
ROOT, PLAIN = two_ranks(root=True), two_ranks(root=False)
SGD_STEP = Recipe(SGD(lr=0.1), batch=32, steps=1)
ADAM_STEP = Recipe(Adam(lr=1e-3), batch=32, steps=1)


@claim(source="arXiv 2404.02948, eq. 2 to 4; b-pissa", kind="exact")
def test_principal_adapter_starts_as_its_base(verdict):
    """An adapter of principal directions starts as its base if the frozen weight gives them up."""
    verdict.holds(
        base_gap,
        treated=Arm(pissa(BASE, RANK), torch_default, START),
        control=Arm(pissa(BASE, RANK, whole=True), torch_default, START),
    )


@claim(source="arXiv 2402.09353, eq. 5; b-dora", kind="exact")
def test_decomposed_adapter_starts_as_its_base(verdict):
    """An adapter that splits off magnitudes starts as its base if they are the rows' lengths."""
    verdict.holds(
        base_gap,
        treated=Arm(dora(BASE, RANK), torch_default, START),
        control=Arm(dora(BASE, RANK, ones=True), torch_default, START),
    )


@claim(source="arXiv 2312.03732, theorem 3.2; c-rslora", kind="theorem")
def test_root_scale_makes_first_sgd_step_blind_to_rank(verdict):
    """Scaled by the root of the rank, adapters of all ranks add as much in SGD's first step.

    The step of B is a multiple of the scale and so is the answer, and |A x|² grows as the rank.
    """
    verdict.holds(
        first_step_ratio,
        treated=Arm(ROOT, torch_default, SGD_STEP),
        control=Arm(PLAIN, torch_default, SGD_STEP),
    )


@claim(source="derived; c-rslora", kind="theorem")
def test_plain_scale_makes_first_adam_step_blind_to_rank(verdict):
    """Scaled by the rank itself, adapters of all ranks add as much in Adam's first step.

    Every entry of B moves by the learning rate, so |B A x| grows as the rank. The root of the rank,
    right for SGD, is too large here.
    """
    verdict.holds(
        first_step_ratio,
        treated=Arm(PLAIN, torch_default, ADAM_STEP),
        control=Arm(ROOT, torch_default, ADAM_STEP),
    )
