"""Heads of zeros, and heads whose biases know how often each symbol occurs."""

from functools import partial

import torch

from initcheck import Adam, Arm, Recipe, claim
from initcheck.datasets import load
from initcheck.initializers import every, normal_, zeros_
from initcheck.networks.transformers import Plan, gpt
from initcheck.notebooks.arms import START
from initcheck.probes.outcomes import epoch_loss, loss_off_chance
from initcheck.probes.signals import final_nats_learned
from initcheck.probes.streams import loss_off_shares
from initcheck.probes.units import movement

NETWORK = gpt(Plan(depth=1, heads=1))
PLAIN = every(normal_(0.02), zeros_)
ZERO = PLAIN.but("head.weight", zeros_)
BELOW = ("tokens.weight", "positions.weight", "blocks.0.inner.value.weight", "blocks.2.weight")
ONE = Recipe(Adam(lr=2e-3), batch=8, steps=1)
LEARNING = Recipe(Adam(lr=2e-3), batch=8, steps=60)  # texts per step
BRIEF = Recipe(Adam(lr=1e-3), batch=8, steps=20)


@torch.no_grad()
def log_shares_(tensor, _generator):
    """The logarithm of each symbol's share of the training text."""
    counts = load("names").train_targets.flatten().bincount(minlength=len(tensor)).double()
    return tensor.copy_(((counts + 1) / (counts + 1).sum()).log())


@claim(source="ViT, arXiv 2010.11929, appendix B.1; b-zero-last-layer", kind="exact")
def test_zero_head_holds_back_all_below_it(verdict):
    """With a zero head a GPT starts at the loss of guessing, and only its head moves at first.

    The gradient of everything below is a product with the head's weights.
    """
    arms = {
        "treated": Arm(NETWORK, ZERO, ONE, "names"),
        "control": Arm(NETWORK, PLAIN, ONE, "names"),
    }
    verdict.holds(loss_off_chance, **arms)
    verdict.holds(partial(movement, names=BELOW), **arms)


@claim(source="ViT, arXiv 2010.11929, appendix B.1; b-zero-last-layer", kind="measured")
def test_zero_head_trails_a_small_one(verdict):
    """Under Adam, a GPT with a head of zeros ends behind one with a small random head.

    So a zero head is not free: the first step teaches nothing below it.
    """
    verdict.gains(
        final_nats_learned,
        better=Arm(NETWORK, PLAIN, LEARNING, "names"),
        worse=Arm(NETWORK, ZERO, LEARNING, "names"),
    )


@claim(source="Lin et al., arXiv 1708.02002, section 4.1; b-prior-bias", kind="exact")
def test_log_shares_start_at_their_cross_entropy(verdict):
    """A zero head with the logarithms of all shares as biases starts at the shares' entropy.

    More precisely at their cross-entropy with the text, instead of the logarithm of their number.
    """
    verdict.holds(
        loss_off_shares,
        treated=Arm(NETWORK, ZERO.but("head.bias", log_shares_), START, "names"),
        control=Arm(NETWORK, ZERO, START, "names"),
    )


@claim(source="Lin et al., arXiv 1708.02002, section 4.1; b-prior-bias", kind="measured")
def test_log_shares_save_the_first_steps(verdict):
    """Under Adam, biases that know the symbols' shares save a zero head its first steps."""
    verdict.holds(
        epoch_loss,
        treated=Arm(NETWORK, ZERO.but("head.bias", log_shares_), BRIEF, "names"),
        control=Arm(NETWORK, ZERO, BRIEF, "names"),
    )
