"""Correlation length: in the ordered phase, networks several times as deep do not train by SGD."""

from initcheck import SGD, Arm, Recipe, claim
from initcheck.initializers import every, lecun_normal_, normal_, scaled_, zeros_
from initcheck.initializers.moments import layerwise_
from initcheck.networks.stacks import Shape, stack
from initcheck.probes import test_accuracy

# Weights N(0, std^2 / width), biases N(0, .2). The gradient falls by chi per layer, and the
# correlation length is -1 / ln(chi): 1.2 layers at std .8, and 130 at std 1.5.
ORDERED, CRITICAL, BIAS_STD = 0.8, 1.5, 0.2**0.5
DEEP, SHALLOW = (stack(Shape(depth, width=64, activation="tanh", biases=True)) for depth in (10, 2))
RECIPE = Recipe(SGD(lr=0.01, momentum=0.9), batch=32, steps=50)


def start(std):
    """Normal weights and biases whose mean field has this standard deviation of weights."""
    weights = layerwise_(scaled_(lecun_normal_, std))
    return every(lecun_normal_, zeros_).but("layers", weights).but("biases", normal_(BIAS_STD))


@claim(
    source="Schoenholz et al., arXiv 1611.01232, section 5; b-depth-scale-trainable",
    kind="measured",
    seeds=4,
)
def test_tanh_network_of_eight_correlation_lengths_stalls_under_momentum(verdict):
    """Under momentum, a tanh network eight correlation lengths deep stalls; one of two learns.

    The deep one also learns from weights near the critical line, where the length is large.
    """
    deep = Arm(DEEP, start(ORDERED), RECIPE)
    verdict.holds(
        test_accuracy,
        treated=deep,
        control=Arm(DEEP, start(CRITICAL), RECIPE),
        case="at the critical line",
    )
    verdict.holds(
        test_accuracy, treated=deep, control=Arm(SHALLOW, start(ORDERED), RECIPE), case="shallow"
    )
