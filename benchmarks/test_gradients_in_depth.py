"""Gradients and angles in depth: mean field theory gives their factor per layer."""

from functools import partial

from initcheck import Arm, claim
from initcheck.initializers import (
    every,
    glorot_uniform_,
    he_normal_,
    lecun,
    lecun_normal_,
    normal_,
    scaled_,
    torch_default,
)
from initcheck.initializers.moments import layerwise_
from initcheck.networks.stacks import Shape, stack
from initcheck.notebooks.arms import START
from initcheck.probes.depth import (
    angle_error,
    chi1,
    gradient_growth_error,
    normalized_growth,
)

DEPTH, WIDTH = 12, 256
HE = lecun.but("layers", layerwise_(he_normal_))
LECUN = lecun.but("layers", layerwise_(lecun_normal_))
TANH = stack(Shape(DEPTH, WIDTH, "tanh", biases=True))
# Standard deviation of a weight times sqrt(fan-in), and variance of a bias.
PHASES = {
    "ordered": (1.0, 0.05),
    "critical": (1.327, 0.05),
    "chaotic": (3.0, 0.05),
    "5/3": (5 / 3, 0),
}


def tanh_start(std, bias_variance):
    """Weights and biases of these laws, and a first layer that starts at their fixed point."""
    moment, _ = chi1(std, bias_variance)
    start = lecun.but("input.weight", scaled_(lecun_normal_, moment**0.5))
    start = start.but("layers", layerwise_(scaled_(lecun_normal_, std)))
    return start.but("biases", normal_(bias_variance**0.5))


@claim(source="Yang et al., arXiv 1902.08129, section 4; c-bn-gradient-explosion", kind="theorem")
def test_batch_norm_without_skips_makes_gradients_explode(verdict):
    """Back through each layer of ReLU and batch norm, the gradient grows by sqrt(pi / (pi - 1)).

    That is 1.21. For tanh it is 1.09, and 1 with no activation. Without batch norm, gradients keep
    their size from He's start.
    """
    for activation, start in (("relu", HE), ("tanh", LECUN)):
        normed = stack(Shape(DEPTH, WIDTH, activation, norm="batch"))
        verdict.holds(
            partial(gradient_growth_error, growth=normalized_growth(activation)),
            treated=Arm(normed, start, START),
            control=Arm(stack(Shape(DEPTH, WIDTH, activation)), start, START),
            case=activation,
        )


@claim(
    source="Poole et al., arXiv 1606.05340; Schoenholz et al., arXiv 1611.01232, eq. 9; "
    "b-edge-of-chaos",
    kind="theorem",
)
def test_tanh_gradients_grow_by_chi(verdict):
    """A tanh layer multiplies the squared gradient by chi, above 1 in the chaotic phase.

    In the ordered phase chi is below 1. With torch's gain for tanh, 5/3, and no biases it is 1.21,
    so this gain is on the chaotic side.
    """
    arms = {case: Arm(TANH, tanh_start(*laws), START) for case, laws in PHASES.items()}
    for case, laws in PHASES.items():
        verdict.holds(
            partial(gradient_growth_error, growth=chi1(*laws)[1] ** 0.5),
            treated=arms[case],
            control=arms["ordered" if case == "critical" else "critical"],
            case=case,
        )


@claim(
    source="Cho & Saul 2009, arc-cosine kernel; Poole et al., arXiv 1606.05340; b-edge-of-chaos",
    kind="theorem",
)
def test_relu_layers_turn_images_to_one_direction(verdict):
    """The angle between two images shrinks layer by layer of He's ReLU start, as its map says.

    The arc-cosine map gives the cosine behind a layer from the cosine before it.
    """
    relu, linear = (stack(Shape(10, 2 * WIDTH, a)) for a in ("relu", "linear"))
    verdict.holds(
        partial(angle_error, depth=10),
        treated=Arm(relu, HE, START),
        control=Arm(linear, HE, START),
    )


@claim(
    source="Glorot & Bengio 2010, eq. 15 and 16, figure 7; b-glorot-tanh-gradient", kind="theorem"
)
def test_torch_default_shrinks_tanh_gradients_by_root_three(verdict):
    """Back through a tanh layer from torch's default, the gradient shrinks by the root of three.

    That start is the one that Glorot and Bengio call standard. From theirs it shrinks less, because
    the weights are larger by that factor, and tanh saturates instead.
    """
    network = stack(Shape(5, WIDTH, "tanh"))
    glorot = every(glorot_uniform_).but("layers", layerwise_(glorot_uniform_))
    verdict.holds(
        partial(gradient_growth_error, growth=3**-0.5),
        treated=Arm(network, torch_default, START),
        control=Arm(network, glorot, START),
    )
