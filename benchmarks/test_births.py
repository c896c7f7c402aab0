"""What a start decides before the first step: dead networks, unit variances and equal heads."""

from dataclasses import replace
from functools import partial

from initcheck import SGD, Arm, Recipe, claim
from initcheck.initializers import (
    every,
    normal_,
    orthogonal_,
    positive_uniform_,
    torch_default,
    uniform_,
    zeros_,
)
from initcheck.initializers.copied import copied_
from initcheck.initializers.data_dependent import data_dependent, lsuv
from initcheck.networks import pooled
from initcheck.networks.chains import CHAIN
from initcheck.networks.sequences import HEADS, attention
from initcheck.notebooks.arms import START
from initcheck.probes.births import dead_share_error
from initcheck.probes.copies import gap_between_heads
from initcheck.probes.variances import layer_variance_error, unit_moment_error

DEEP = pooled(*[32] * 6, 10, by=4, activation="tanh")  # 49 pixels, six hidden layers
PACKED, STD = "attention.in_proj_weight", 0.2
SOME = Recipe(SGD(lr=0.1, momentum=0.9), batch=32, steps=20)
ALIKE = replace(
    torch_default.but(PACKED, copied_(normal_(STD), 3 * HEADS)).but(
        "attention.out_proj.weight", copied_(normal_(STD), HEADS, along=1)
    ),
    name="torch_default, heads copied",
)


@claim(source="arXiv 1903.06733, section 3; b-born-dead", kind="theorem")
def test_narrow_relu_chains_are_born_dead(verdict):
    """A ReLU chain is born dead for an image as often as its narrow layers make it.

    The weights are symmetric and there are no biases. Weights that are never negative kill no
    chain.
    """
    verdict.holds(
        dead_share_error,
        treated=Arm(CHAIN, every(uniform_(-1, 1)), START),
        control=Arm(CHAIN, every(positive_uniform_("lecun")), START),
    )


@claim(source="arXiv 1511.06422, Algorithm 1; b-lsuv", kind="theorem")
def test_lsuv_start_has_unit_variance(verdict):
    """After LSUV's pass the outputs of every layer have a variance of one on its images.

    The orthogonal start that it scales lets them shrink.
    """
    verdict.holds(
        layer_variance_error,
        treated=Arm(DEEP, lsuv(), START),
        control=Arm(DEEP, every(orthogonal_(), zeros_), START),
    )


@claim(source="arXiv 1602.07868, eq. 6 and 7; b-data-dependent-bn-like", kind="theorem")
def test_data_dependent_start_standardizes_units(verdict):
    """A scale and a bias from data give each unit mean zero and variance one on these images.

    LSUV's pass does this for layers as a whole, and not for units.
    """
    verdict.holds(
        unit_moment_error,
        treated=Arm(DEEP, data_dependent(), START),
        control=Arm(DEEP, lsuv(), START),
    )


@claim(source="derived; b-equal-heads", kind="exact")
def test_equal_heads_never_part(verdict):
    """Attention heads that start as copies, with equal output weights, never part."""
    verdict.holds(
        partial(gap_between_heads, name=PACKED, heads=HEADS),
        treated=Arm(attention(), ALIKE, SOME),
        control=Arm(attention(), torch_default, SOME),
    )
