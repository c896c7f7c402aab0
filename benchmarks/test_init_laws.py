"""Laws: variance, bound and mean of the four formulas, for unequal fans and for convolutions."""

from functools import partial

import pytest
from torch import nn

from initcheck import Arm, Network, claim, mlp
from initcheck.initializers import (
    every,
    glorot_normal_,
    glorot_uniform_,
    he,
    he_fan_out_,
    he_normal_,
    he_uniform_,
    lecun,
    lecun_normal_,
    lecun_uniform_,
    positive_uniform_,
    scaled_,
)
from initcheck.notebooks.arms import MIXED_WIDE, START
from initcheck.probes.starts import bound_reached, mean_error, variance_error


def convolution():
    """Fans of 144 inputs and 288 outputs in the second layer."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3),
        nn.Flatten(),
        nn.Linear(32 * 24 * 24, 10),
    )


LINEAR = mlp(784, 300, 100, 10)
NETWORKS = {
    "linear": (LINEAR, "hidden2.weight"),
    "convolution": (Network("conv 16-32", convolution), "2.weight"),
}
NORMAL = {  # the law, and one that takes the other fan
    "glorot": (glorot_normal_, lecun_normal_),
    "he": (he_normal_, he_fan_out_),
    "lecun": (lecun_normal_, glorot_normal_),
}
UNIFORM = {  # the law, and its bound with the variance's 3 forgotten
    "glorot": (glorot_uniform_, scaled_(glorot_uniform_, 3**-0.5)),
    "he": (he_uniform_, scaled_(he_uniform_, 3**-0.5)),
    "lecun": (lecun_uniform_, scaled_(lecun_uniform_, 3**-0.5)),
}
HEURISTIC = lecun.but("hidden1.weight", he_normal_)  # He for the ReLU layer, LeCun for the others


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("law", NORMAL)
@claim(
    source="notebook 004; Glorot & Bengio 2010, eq. 12; He, arXiv 1502.01852, eq. 10; a4-init-laws",
    kind="theorem",
)
def test_normal_law_has_its_variance(verdict, law, network):
    """In a linear layer and a convolution of unequal fans, the second moment of Glorot's, He's and
    LeCun's normal start is that of the formula within five standard errors, and that of a law with
    another choice of fans is not."""
    net, layer = NETWORKS[network]
    right, wrong = (Arm(net, every(draw), START) for draw in NORMAL[law])
    verdict.holds(partial(variance_error, laws={layer: law}), treated=right, control=wrong)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("law", UNIFORM)
@claim(
    source="notebook 004; Glorot & Bengio 2010, eq. 16; a4-init-laws, a3-uniform-zero-mean",
    kind="theorem",
)
def test_uniform_law_has_its_variance_and_bound(verdict, law, network):
    """In a linear layer and a convolution of unequal fans, the uniform form of each law has the
    variance of the formula within five standard errors, and its largest weight lies within 1 % of
    sqrt(3) standard deviations; with a bound of one standard deviation it has neither."""
    net, layer = NETWORKS[network]
    right, wrong = (Arm(net, every(draw), START) for draw in UNIFORM[law])
    moment = partial(variance_error, laws={layer: law}, shape="uniform")
    verdict.holds(moment, treated=right, control=wrong)
    verdict.holds(partial(bound_reached, layer=layer, law=law), treated=right, control=wrong)


@pytest.mark.parametrize("law", ["he", "lecun"])
@claim(source="notebook 003; a3-uniform-zero-mean", kind="theorem")
def test_uniform_law_is_centred(verdict, law):
    """The weights of every layer of a network 784-512-1024-128-10 have mean zero within five
    standard errors under He's and LeCun's uniform laws; under `torch.rand` times their standard
    deviations not all have."""
    uniform = UNIFORM[law][0]
    verdict.holds(
        mean_error,
        treated=Arm(MIXED_WIDE, every(uniform), START),
        control=Arm(MIXED_WIDE, every(positive_uniform_(law)), START),
    )


@claim(source="notebook 003; a3-heuristic-is-per-layer", kind="theorem")
def test_heuristic_is_resolved_per_layer(verdict):
    """In a network 784-512-1024-128-10, a start that takes He's normal law for the first layer and
    LeCun's for the others has each layer's own variance within five standard errors; He's law for
    all layers has not."""
    laws = {f"hidden{n}.weight": "lecun" for n in (2, 3)}
    laws |= {"hidden1.weight": "he", "output.weight": "lecun"}
    verdict.holds(
        partial(variance_error, laws=laws),
        treated=Arm(MIXED_WIDE, HEURISTIC, START),
        control=Arm(MIXED_WIDE, he, START),
    )
