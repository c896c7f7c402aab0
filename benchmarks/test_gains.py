"""Gains: a layer multiplies the second moment by its gain squared times the activation's share."""

from functools import partial

from initcheck import Arm, claim
from initcheck.initializers import (
    glorot_normal_,
    he_normal_,
    lecun,
    lecun_normal_,
    orthogonal_,
    scaled_,
    torch_default,
)
from initcheck.initializers.moments import FUNCTIONS, keeping_, layerwise_
from initcheck.networks.stacks import Shape, stack
from initcheck.notebooks.arms import START
from initcheck.probes.depth import decades_lost, first_factor_error, growth_error, last_size

DEEP = stack(Shape(depth=16, width=256))  # ReLU
LAWS = {  # each law of a square layer, and its factor on the second moment behind ReLU
    "He": (he_normal_, 1.0),
    "LeCun": (lecun_normal_, 1 / 2),
    "Glorot": (glorot_normal_, 1 / 2),
    "orthogonal": (orthogonal_(), 1 / 2),
}


def layers_from(law):
    """LeCun's start, with the hidden layers from another law."""
    return lecun.but("layers", layerwise_(law))


@claim(
    source="He, arXiv 1502.01852, eq. 10; torch's default: pytorch issues 15314 and 18182; "
    "b-relu-gain-ladder",
    kind="theorem",
)
def test_relu_layers_multiply_the_moment_by_known_factors(verdict):
    """A ReLU layer from He's start keeps the second moment; torch's default leaves a sixth.

    LeCun's law halves it, and so do Glorot's law and orthogonal matrices where layers are square.
    """
    default = Arm(DEEP, torch_default, START)
    for case, (law, growth) in LAWS.items():
        verdict.holds(
            partial(growth_error, growth=growth),
            treated=Arm(DEEP, layers_from(law), START),
            control=default,
            case=case,
        )
    verdict.holds(
        partial(growth_error, growth=1 / 6),
        treated=default,
        control=Arm(DEEP, layers_from(lecun_normal_), START),
        case="torch's default",
    )


@claim(source="He, arXiv 1502.01852, eq. 10 and 15; b-act-second-moment", kind="theorem")
def test_gain_that_keeps_the_moment_depends_on_the_activation(verdict):
    """A layer keeps a second moment of one if its gain is 1 / sqrt(E act(z)^2), not He's.

    The squared gain is 2 for ReLU, 2.35 for GELU, 2.81 for SiLU, 1.55 for ELU, 2.54 for tanh, 3.41
    for the logistic function, and 1 for SELU and no activation. LeCun's gain is the control where
    He's is right.
    """
    for activation in FUNCTIONS:
        network = stack(Shape(depth=1, width=512, activation=activation))
        other = lecun_normal_ if activation == "relu" else he_normal_
        verdict.holds(
            partial(first_factor_error, activation=activation),
            treated=Arm(network, layers_from(keeping_(activation)), START),
            control=Arm(network, layers_from(other), START),
            case=activation,
        )


@claim(source="He, arXiv 1502.01852, eq. 10; b-act-second-moment", kind="measured", seeds=4)
def test_he_lets_the_signal_of_silu_die(verdict):
    """From He's start, a deep SiLU network loses decades of second moment; ReLU does not.

    A small signal is halved by SiLU, so that it becomes smaller still. GELU's dies as well on
    nearly all seeds, but a signal that happens to grow passes GELU as it passes ReLU.
    """
    relu, silu = (stack(Shape(depth=40, width=128, activation=a)) for a in ("relu", "silu"))
    verdict.holds(
        decades_lost,
        treated=Arm(silu, layers_from(he_normal_), START),
        control=Arm(relu, layers_from(he_normal_), START),
    )


@claim(
    source="Klambauer et al., arXiv 1706.02515, Theorem 1; torch's gain for SELU is 3/4; "
    "b-selu-fixed-point",
    kind="theorem",
)
def test_selu_pulls_states_to_unit_size_from_lecun_normal_weights(verdict):
    """From LeCun's normal weights, SELU brings pre-activations to a second moment of one.

    They get there from any size. With torch's gain for SELU, 3/4, they do not.
    """
    selu = stack(Shape(depth=20, width=256, activation="selu"))
    verdict.holds(
        last_size,
        treated=Arm(selu, layers_from(lecun_normal_), START),
        control=Arm(selu, layers_from(scaled_(lecun_normal_, 0.75)), START),
    )
