"""Laws: variance, bound and mean of common starts, for unequal fans and for convolutions."""

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
    torch_default,
)
from initcheck.notebooks.arms import MIXED_WIDE, START
from initcheck.probes.starts import (
    bound_reached,
    default_bound_reached,
    default_variance_error,
    mean_error,
    variance_error,
)


def convolution():
    """A network whose second convolution has a fan-in of 144 and a fan-out of 288."""
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
NORMAL = {  # each law, and a law that takes another fan
    "glorot": (glorot_normal_, lecun_normal_),
    "he": (he_normal_, he_fan_out_),
    "lecun": (lecun_normal_, glorot_normal_),
}
UNIFORM = {  # each law, and the same law with a bound of one standard deviation
    "glorot": (glorot_uniform_, scaled_(glorot_uniform_, 3**-0.5)),
    "he": (he_uniform_, scaled_(he_uniform_, 3**-0.5)),
    "lecun": (lecun_uniform_, scaled_(lecun_uniform_, 3**-0.5)),
}
HEURISTIC = lecun.but("hidden1.weight", he_normal_)  # He for the ReLU layer, LeCun elsewhere


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("law", NORMAL)
@claim(
    source="notebook 004; Glorot & Bengio 2010, eq. 12; He, arXiv 1502.01852, eq. 10; a4-init-laws",
    kind="theorem",
)
def test_normal_law_has_its_variance(verdict, law, network):
    """Glorot's, He's and LeCun's normal starts have the variance of their formulas.

    Fan-in and fan-out differ in both networks, so a law that reads the wrong fan fails.
    """
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
    """Glorot's, He's and LeCun's uniform starts have the variance and bound of their formulas.

    The bound is sqrt(3) standard deviations; a bound of one standard deviation fails both checks.
    """
    net, layer = NETWORKS[network]
    right, wrong = (Arm(net, every(draw), START) for draw in UNIFORM[law])
    moment = partial(variance_error, laws={layer: law}, shape="uniform")
    verdict.holds(moment, treated=right, control=wrong)
    verdict.holds(partial(bound_reached, layer=layer, law=law), treated=right, control=wrong)


@pytest.mark.parametrize("law", ["he", "lecun"])
@claim(source="notebook 003; a3-uniform-zero-mean", kind="theorem")
def test_uniform_law_is_centred(verdict, law):
    """He's and LeCun's uniform starts have mean zero in every layer; `torch.rand` does not."""
    uniform = UNIFORM[law][0]
    verdict.holds(
        mean_error,
        treated=Arm(MIXED_WIDE, every(uniform), START),
        control=Arm(MIXED_WIDE, every(positive_uniform_(law)), START),
    )


@claim(source="notebook 003; a3-heuristic-is-per-layer", kind="theorem")
def test_heuristic_is_resolved_per_layer(verdict):
    """A start that names a law for each layer gives each layer the variance of its law.

    Notebook 003 chose a law at the first layer and used it for all others.
    """
    laws = {f"hidden{n}.weight": "lecun" for n in (2, 3)}
    laws |= {"hidden1.weight": "he", "output.weight": "lecun"}
    verdict.holds(
        partial(variance_error, laws=laws),
        treated=Arm(MIXED_WIDE, HEURISTIC, START),
        control=Arm(MIXED_WIDE, he, START),
    )


@pytest.mark.parametrize("network", NETWORKS)
@claim(source="b-torch-default", kind="theorem")
def test_torch_default_has_its_variance_and_bound(verdict, network):
    """Torch's linear layers and convolutions start with the variance 1 / (3 fan-in).

    A layer's weights and biases are both uniform within 1 / sqrt(fan-in).
    LeCun's uniform law has three times this variance.
    """
    net, _ = NETWORKS[network]
    arms = {
        "treated": Arm(net, torch_default, START),
        "control": Arm(net, every(lecun_uniform_), START),
    }
    verdict.holds(default_variance_error, **arms)
    verdict.holds(default_bound_reached, **arms)
