"""Lengths fluctuate between networks: by the sum of 1 / width over the layers, not by depth."""

import math

from initcheck import Arm, claim
from initcheck.initializers import lecun, normal_, orthogonal_
from initcheck.initializers.moments import layerwise_
from initcheck.networks.ensembles import many
from initcheck.notebooks.arms import START
from initcheck.probes.depth import factor_variance_error, log_norm_variance

WIDTH, DEPTH, NETWORKS = 32, 8, 256


def he_start(width):
    """He's law for all hidden layers of that width."""
    return lecun.but("layers", normal_(math.sqrt(2 / width)))


@claim(
    source="Hanin & Rolnick, arXiv 1803.01719, Theorem 5; Hanin, arXiv 1801.03744; "
    "b-length-fluctuation",
    kind="theorem",
)
def test_relu_layer_scatters_the_length_by_five_over_width(verdict):
    """A ReLU layer from He's law multiplies the squared length with a variance of 5 / width.

    The factors of layers are independent, so behind L layers the mean square of the squared length
    is (1 + 5 / n)^L. Orthogonal matrices with the same gain scatter by 3 / n.
    """
    network = many(NETWORKS, DEPTH, WIDTH)
    orthogonal = lecun.but("layers", layerwise_(layerwise_(orthogonal_(2**0.5))))
    verdict.holds(
        factor_variance_error,
        treated=Arm(network, he_start(WIDTH), START),
        control=Arm(network, orthogonal, START),
    )


@claim(source="Hanin, arXiv 1801.03744, Theorem 1; b-beta-not-depth", kind="theorem")
def test_sum_of_inverse_widths_sets_the_scatter_not_depth(verdict):
    """Networks with the same sum of 1 / width over their layers scatter alike at any depth.

    The variance of the logarithm of the squared length is about five times that sum.
    """
    deeper = Arm(many(2 * NETWORKS, 8, 16), he_start(16), START)
    for depth, width in ((2, 16), (4, 32)):
        network = many(2 * NETWORKS, depth, width)
        verdict.holds(
            log_norm_variance,
            treated=Arm(network, he_start(width), START),
            control=deeper,
            case=f"{depth} layers of {width}",
        )
