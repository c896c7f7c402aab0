"""Width: under Adam one learning rate moves a wider network more; muP's rates move it alike.

A step of Adam changes each weight by about the learning rate, and a unit adds up as many changes
as it has inputs. So the rate of layers with hidden inputs has to go as 1 / width.
"""

import torch

from initcheck import Adam, Arm, Recipe, claim
from initcheck.initializers import he
from initcheck.networks import pooled
from initcheck.probes.signals import entering, final_nats_learned

BASE = 64  # hidden units, at which both parametrizations are the same
IMAGES = 200
FEW, LARGE_RATE = 32, 2**-4  # steps and rate at which the wide network of one rate fails


def recipe(lr, steps, rates=()):
    """Adam, at one rate or at muP's."""
    return Recipe(Adam(lr=lr), batch=32, steps=steps, rates=rates)


def arms(wide, lr, steps):
    """The network of 64 units, the wide one at one rate, and the wide one at muP's rates."""
    rates = tuple((name, BASE / wide) for name in ("hidden2.weight", "output.weight"))
    narrow_network, network = (pooled(width, width, 10, by=2) for width in (BASE, wide))
    return (
        Arm(narrow_network, he, recipe(lr, steps), name=f"{BASE} units"),
        Arm(network, he, recipe(lr, steps), name=f"{wide} units, one rate"),
        Arm(network, he, recipe(lr, steps, rates), name=f"{wide} units, muP's rates"),
    )


def decades_of_change(trained):
    """How far training moved the outputs of hidden2: log10 of the root mean square change."""
    return _changes(trained).log10()


def decades_of_growth(trained):
    """The same, for the comparison of widths at one rate, which has another margin."""
    return decades_of_change(trained)


def _changes(trained):
    """Root mean square of the change of hidden2's outputs over training, ``(R,)`` float64."""
    images = trained.data.test_inputs[:IMAGES]
    before, after = (
        torch.stack([x.double().cpu() for x in entering(trained, "relu2", images, at_start=start)])
        for start in (True, False)
    )
    return (after - before).square().mean((1, 2)).sqrt()


@claim(
    source="TP V, arXiv 2203.03466, table 3; gpt-neox issue 956; b-mup-coord-check",
    kind="measured",
)
def test_mup_step_moves_wide_network_as_a_narrow_one(verdict):
    """One Adam step moves hidden2 alike at 64 and 512 units if the rate goes as 1 / width.

    At one rate the change grows about threefold.
    """
    narrow, wide, scaled = arms(512, lr=1e-2, steps=1)
    verdict.gains(decades_of_change, better=scaled, worse=narrow, case="not below")
    verdict.gains(decades_of_change, better=narrow, worse=scaled, case="not above")
    verdict.gains(decades_of_growth, better=wide, worse=narrow)


@claim(source="TP V, arXiv 2203.03466, figure 1; c-mup-lr-transfer", kind="measured", seeds=12)
def test_mup_keeps_a_rate_usable_at_larger_width(verdict):
    """At Adam's rate 2^-4, widening 64 units to 512 hurts at one rate and helps at muP's rates.

    Not claimed is that muP is better where each has its own best rate.
    """
    narrow, wide, scaled = arms(512, lr=LARGE_RATE, steps=FEW)
    verdict.gains(final_nats_learned, better=narrow, worse=wide, case="one rate")
    verdict.gains(final_nats_learned, better=scaled, worse=narrow, case="muP's rates")
