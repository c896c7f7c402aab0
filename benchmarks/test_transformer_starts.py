"""Transformers: what their branches, heads and norms are at the start."""

from functools import partial

import pytest

from initcheck import Arm, claim
from initcheck.initializers import every, normal_, zeros_
from initcheck.networks.transformers import Plan, gpt
from initcheck.notebooks.arms import START
from initcheck.probes.streams import moment_added

STD = 0.02  # GPT-2's, for every weight
PLAIN = every(normal_(STD), zeros_)  # gains of norms stay one


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
