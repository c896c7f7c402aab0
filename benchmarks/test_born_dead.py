"""Born dead: narrow ReLU networks that answer the same to every image before any training."""

import math

import torch

from initcheck import Arm, claim
from initcheck.initializers import randomized_asymmetric_, torch_default
from initcheck.networks.chains import BIASED_CHAIN
from initcheck.notebooks.arms import START
from initcheck.probes.births import dead_share


@torch.no_grad()
def he_without_bias_(tensor, generator):
    """He's normal law, and zeros in the last column, which is the bias."""
    tensor.normal_(std=math.sqrt(2 / (tensor.shape[-1] - 1)), generator=generator)
    tensor[..., -1] = 0
    return tensor


def chains(law):
    """The arm whose chains have this law of weights and bias; the head is torch's."""
    start = torch_default.but("first", law).but("later.*", law)
    return Arm(BIASED_CHAIN, start, START)


@claim(source="Lu et al., arXiv 1903.06733, section 4; b-rai", kind="measured", seeds=4)
def test_randomized_asymmetric_start_leaves_fewer_chains_born_dead(verdict):
    """Fewer ReLU chains of ten layers of two units are born dead from an asymmetric start.

    The randomized asymmetric start draws one of each unit's weights and bias from a positive law;
    He's normal law is symmetric. A chain is dead if one of its layers has no positive unit for any
    image.
    """
    verdict.holds(
        dead_share, treated=chains(randomized_asymmetric_), control=chains(he_without_bias_)
    )
