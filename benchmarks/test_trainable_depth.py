"""Depth that trains: Glorot's and He's laws where torch's default layers stall under SGD."""

from initcheck import SGD, Arm, Recipe, claim
from initcheck.initializers import glorot, glorot_normal_, he, he_normal_, torch_default
from initcheck.initializers.moments import layerwise_
from initcheck.networks.stacks import Shape, stack
from initcheck.probes import test_accuracy

RECIPE = Recipe(SGD(lr=0.02, momentum=0.9), batch=32, steps=120)
SHALLOW = stack(Shape(depth=5, width=64))  # six hidden layers, ReLU
GENTLE = Recipe(SGD(lr=0.01, momentum=0.9), batch=32, steps=100)
TANH = stack(Shape(depth=19, width=64, activation="tanh"))  # twenty hidden layers
HE = he.but("layers", layerwise_(he_normal_))
GLOROT = glorot.but("layers", layerwise_(glorot_normal_))


@claim(
    source="He, arXiv 1502.01852, section 2.2; torch's default: pytorch issue 18182; "
    "b-shallow-no-difference",
    kind="measured",
    seeds=4,
)
def test_six_relu_layers_learn_from_he_and_glorot_but_not_from_torch_default(verdict):
    """Under SGD, six ReLU layers learn from He's and Glorot's laws, and stall from torch's.

    Torch's default leaves a sixth of the signal's second moment in each layer.
    """
    default = Arm(SHALLOW, torch_default, RECIPE)
    for case, start in (("He", HE), ("Glorot", GLOROT)):
        treated = Arm(SHALLOW, start, RECIPE)
        verdict.holds(test_accuracy, treated=treated, control=default, case=case)


@claim(
    source="Glorot & Bengio 2010, section 4.2; torch's default: pytorch issue 18182; b-tanh-depth",
    kind="measured",
    seeds=4,
)
def test_deep_tanh_network_learns_from_glorot_but_not_from_torch_default(verdict):
    """A deep tanh network learns under SGD from Glorot's law; from torch's default it stalls."""
    verdict.holds(
        test_accuracy,
        treated=Arm(TANH, GLOROT, GENTLE),
        control=Arm(TANH, torch_default, GENTLE),
    )
