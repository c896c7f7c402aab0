"""Residual networks: the length of their state differs little between networks, at any depth."""

import math

from initcheck import Arm, claim
from initcheck.initializers import lecun, normal_
from initcheck.networks.ensembles import many, many_residual
from initcheck.notebooks.arms import START
from initcheck.probes.depth import log_norm_variance

WIDTH, NETWORKS = 16, 256
HE = lecun.but("layers", normal_(math.sqrt(2 / WIDTH)))


@claim(
    source="Hanin & Rolnick, arXiv 1803.01719, Theorem 6, with branches / sqrt(L); b-resnet-no-fm2",
    kind="theorem",
)
def test_scaled_branches_scatter_the_length_less_than_one_plain_layer(verdict):
    """With branches / sqrt(L), L ReLU blocks scatter the length less than one plain layer does.

    This is so at every depth L. To first order the logarithm of the squared length has a variance
    of 4 (1 - 1 / pi) / width, and of 5 L / width behind L plain layers, all from He's law.
    """
    plain = Arm(many(NETWORKS, 2, WIDTH), HE, START)
    for depth in (2, 8, 32):
        verdict.holds(
            log_norm_variance,
            treated=Arm(many_residual(NETWORKS, depth, WIDTH), HE, START),
            control=plain,
            case=f"{depth} blocks",
        )
