"""Isometries in depth: orthogonal, mirrored and sine networks at a hundred layers."""

from functools import partial

from initcheck import Arm, claim
from initcheck.initializers import (
    every,
    lecun,
    lecun_normal_,
    looks_linear_,
    orthogonal_,
    siren_,
)
from initcheck.initializers.moments import layerwise_
from initcheck.networks.stacks import OMEGA, Shape, stack
from initcheck.notebooks.arms import START
from initcheck.probes.depth import depth_norm_change, last_size, product_decades

LINEAR = stack(Shape(depth=50, width=64, activation="linear"))
MIRRORED = stack(Shape(depth=100, width=64, mirrored=True))
SINES, SLOW = (stack(Shape(12, 256, activation)) for activation in ("sine", "slow sine"))


def layers_from(law):
    """LeCun's start, with the hidden layers from another law."""
    return lecun.but("layers", layerwise_(law))


@claim(source="Saxe et al. 2013, arXiv 1312.6120; b-orthogonal-isometry", kind="theorem")
def test_product_of_orthogonal_layers_is_orthogonal(verdict):
    """Fifty orthogonal layers have a product with equal singular values; normal layers do not.

    From normal weights with the same second moment they spread over many decades.
    """
    verdict.holds(
        product_decades,
        treated=Arm(LINEAR, layers_from(orthogonal_()), START),
        control=Arm(LINEAR, layers_from(lecun_normal_), START),
    )


@claim(source="arXiv 1702.08591, section 4; b-looks-linear", kind="theorem")
def test_looks_linear_start_keeps_norms_through_a_hundred_layers(verdict):
    """A hundred mirrored ReLU layers of orthogonal matrices keep the norm of every image.

    Orthogonal matrices with He's gain, not mirrored, do not.
    """
    verdict.holds(
        depth_norm_change,
        treated=Arm(MIRRORED, layers_from(looks_linear_(orthogonal_())), START),
        control=Arm(MIRRORED, layers_from(orthogonal_(2**0.5)), START),
    )


@claim(source="arXiv 2006.09661, section 3.2; b-siren-fixed-point", kind="theorem")
def test_siren_states_die_where_omega_is_forgotten(verdict):
    """In a sine network from SIREN's start, pre-activations have a standard deviation of .893.

    That is the square root of the fixed point of q = 1 - exp(-2 q), not 1. If the network computes
    sin(z) and leaves out the factor that the start divides by, they die out.
    """
    start = every(siren_(OMEGA)).but("layers", layerwise_(siren_(OMEGA)))
    verdict.holds(
        partial(last_size, factor=OMEGA),
        treated=Arm(SINES, start, START),
        control=Arm(SLOW, start, START),
    )
