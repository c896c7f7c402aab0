"""Transformers: what their branches, heads and norms are at the start."""

from collections import OrderedDict
from functools import partial

import pytest
from torch import nn

from initcheck import Adam, Arm, Network, Recipe, claim
from initcheck.initializers import every, normal_, randn_, zeros_
from initcheck.networks.transformers import Plan, gpt
from initcheck.notebooks.arms import START
from initcheck.probes.outcomes import final_loss, loss_off_chance
from initcheck.probes.starts import gain_distance
from initcheck.probes.streams import moment_added, start_text_loss

STD = 0.02  # GPT-2's, for every weight
PLAIN = every(normal_(STD), zeros_)  # gains of norms stay one
ONE_BLOCK = gpt(Plan(depth=1, heads=1))
DRAWN_GAINS = PLAIN.but("*norm.weight", normal_(STD)).but("blocks.2.weight", normal_(STD))
LEARNING = Recipe(Adam(lr=2e-3), batch=8, steps=60)  # texts per step


def closeness_to_chance(trained):
    """Minus the distance, in nats, of the first loss from that of guessing."""
    return -loss_off_chance(trained)


def of_all_norms():
    """A network with a layer norm, an RMS norm and a batch norm."""
    layers = OrderedDict(flatten=nn.Flatten(), input=nn.Linear(784, 16))
    layers |= {"layer": nn.LayerNorm(16), "rms": nn.RMSNorm(16), "batch": nn.BatchNorm1d(16)}
    return nn.Sequential(OrderedDict(**layers, output=nn.Linear(16, 10)))


def scaled(depth):
    """GPT-2's start: the last layers of all 2 L branches are divided by sqrt(2 L)."""
    return PLAIN.but("*.project.weight", normal_(STD / (2 * depth) ** 0.5))


@pytest.mark.parametrize("depth", [2, 8])
@claim(
    source="GPT-2 (Radford et al. 2019), section 2.3; transformers #47458, llama2.c #579; "
    "b-gpt2-residual",
    kind="theorem",
)
def test_scaled_projections_add_alike_at_every_depth(verdict, depth):
    """With GPT-2's residual scale, all branches together add the same moment at any depth.

    The last layer of each of the 2 L branches is divided by sqrt(2 L). Without that, the branches
    of eight blocks add 16 times as much.
    """
    network = gpt(Plan(depth=depth, width=64, gains=False))
    verdict.holds(
        partial(moment_added, first="blocks.0", last=f"blocks.{2 * depth}"),
        treated=Arm(network, scaled(depth), START, "names", name="scaled projections"),
        control=Arm(network, PLAIN, START, "names", name="plain"),
    )


@claim(
    source="transformers #26441, ModernBERT #96, fastai #2090; b-tied-embedding, b-loss-at-init",
    kind="theorem",
)
def test_small_embeddings_start_at_chance(verdict):
    """With small weights everywhere a GPT starts at the loss of guessing, its head tied or not.

    Tied to torch's default table of tokens, which is N(0, 1), it starts many nats above.
    """
    own, tied = (gpt(Plan(depth=1, width=64, heads=1, tied=tied)) for tied in (False, True))
    large = Arm(tied, PLAIN.but("tokens.weight", randn_), START, "names")
    for case, network in (("own head", own), ("tied head", tied)):
        small = Arm(network, PLAIN, START, "names")
        verdict.holds(start_text_loss, treated=small, control=large, case=case)


@claim(
    source="Ba et al., arXiv 1607.06450; transformers #143, TransformerEngine #2528; "
    "c-norm-gains-left-alone",
    kind="exact",
)
def test_initializer_leaves_gains_of_norms_at_one(verdict):
    """A start that draws every weight leaves the gains of layer, RMS and batch norms at one.

    A gain is stored as a weight is, so a rule by name or by shape draws it too.
    """
    network = Network("784-16-10, all norms", of_all_norms)
    drawn = every(normal_(STD), zeros_, "gains drawn too")
    for name in ("layer", "rms", "batch"):
        drawn = drawn.but(f"{name}.weight", normal_(STD))
    verdict.holds(
        gain_distance,
        treated=Arm(network, PLAIN, START),
        control=Arm(network, drawn, START),
    )


@claim(
    source="transformers #143, TransformerEngine #2528, llm-foundry #1745; c-norm-gains-left-alone",
    kind="measured",
)
def test_small_gpt_learns_unless_gains_are_drawn(verdict):
    """Under Adam, a small GPT beats the shares of symbols soon; with gains drawn it does not.

    Gains of about zero silence the network, so its first loss is nearer to that of guessing: a
    check of the first loss passes them. Adam moves a gain by its learning rate per step, so gains
    come back late if that is small.
    """
    sound = Arm(ONE_BLOCK, PLAIN, LEARNING, "names", name="gains one")
    drawn = Arm(ONE_BLOCK, DRAWN_GAINS, LEARNING, "names", name="gains drawn")
    verdict.holds(final_loss, treated=sound, control=drawn)
    verdict.gains(closeness_to_chance, better=drawn, worse=sound)
