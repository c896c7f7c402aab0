"""Every initializer keeps the contract; a network's initializer fills only what it names."""

import dataclasses
import fnmatch

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from initcheck import initializers
from initcheck.initializers import (
    Initializer,
    InitializerError,
    every,
    glorot,
    hadamard,
    he,
    identity,
    lecun,
    normal_,
    ones,
    ones_,
    randn,
    torch_default,
    zeros,
    zeros_,
)

DETERMINISTIC = {
    "zeros_": initializers.zeros_,
    "ones_": initializers.ones_,
    "constant_": initializers.constant_(0.5),
    "partial_identity_": initializers.partial_identity_,
    "hadamard_": initializers.hadamard_,
    "padded_identity_": initializers.padded_identity_(),
}
RANDOM = {
    "normal_": initializers.normal_(0.1),
    "uniform_": initializers.uniform_(-1, 1),
    "he_normal_": initializers.he_normal_,
    "he_uniform_": initializers.he_uniform_,
    "he_fan_out_": initializers.he_fan_out_,
    "lecun_normal_": initializers.lecun_normal_,
    "lecun_uniform_": initializers.lecun_uniform_,
    "glorot_normal_": initializers.glorot_normal_,
    "glorot_uniform_": initializers.glorot_uniform_,
    "randn_": initializers.randn_,
    "torch_default_weight_": initializers.torch_default_weight_,
    "positive_uniform_": initializers.positive_uniform_("he"),
    "scaled_": initializers.scaled_(initializers.he_normal_, 2),
    "orthogonal_": initializers.orthogonal_(),
    "trunc_normal_": initializers.trunc_normal_(0.1),
    "padded_identity_(noise)": initializers.padded_identity_(1e-6),
    "one_n_each_": initializers.one_n_each_,
    "spray_": initializers.spray_,
    "siren_": initializers.siren_(30),
    "randomized_asymmetric_": initializers.randomized_asymmetric_,
    "delta_orthogonal_": initializers.delta_orthogonal_(),
    "looks_linear_": initializers.looks_linear_(initializers.orthogonal_()),
}
ALL = DETERMINISTIC | RANDOM
ONLY_FOR_KERNELS = {"dirac_": initializers.dirac_}
SHAPES = {"wide": (6, 8), "tall": (8, 6), "convolution": (8, 6, 3, 3)}
CASES = [(name, shape) for name in ALL for shape in SHAPES] + [("dirac_", "convolution")]

every_case = pytest.mark.parametrize(("name", "shape"), CASES)
every_dtype = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def filled(name, shape, *, dtype=torch.float32, seed=0):
    """The initializer's result on a tensor with other values in it."""
    tensor = torch.full(SHAPES[shape], torch.nan, dtype=dtype)
    return (ALL | ONLY_FOR_KERNELS)[name](tensor, seeded(seed))


# The contract of an initializer of one tensor


@every_dtype
@every_case
def test_initializer_fills_a_parameter_in_place(name, shape, dtype):
    """The parameter itself comes back, finite throughout, still a leaf of its dtype."""
    parameter = nn.Parameter(torch.full(SHAPES[shape], torch.nan, dtype=dtype))
    assert (ALL | ONLY_FOR_KERNELS)[name](parameter, seeded()) is parameter
    assert parameter.isfinite().all()
    assert parameter.is_leaf
    assert parameter.requires_grad
    assert parameter.dtype == dtype


@every_dtype
@every_case
def test_same_seed_gives_the_same_bits(name, shape, dtype):
    """The generator alone decides what is drawn."""
    assert torch.equal(filled(name, shape, dtype=dtype), filled(name, shape, dtype=dtype))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", RANDOM)
def test_other_seed_gives_other_values(name, shape):
    """A random initializer uses the generator."""
    assert not torch.equal(filled(name, shape), filled(name, shape, seed=1))


@pytest.mark.parametrize(
    ("name", "shape"), [case for case in CASES if case[0] in DETERMINISTIC | ONLY_FOR_KERNELS]
)
def test_deterministic_initializer_draws_nothing(name, shape):
    """An initializer without randomness does not advance the generator."""
    generator = seeded()
    (ALL | ONLY_FOR_KERNELS)[name](torch.empty(SHAPES[shape]), generator)
    assert torch.equal(generator.get_state(), seeded().get_state())


@every_case
def test_global_random_state_is_untouched(name, shape):
    """The global generator of torch does not advance."""
    before = torch.get_rng_state()
    filled(name, shape)
    assert torch.equal(torch.get_rng_state(), before)


def test_every_initializer_is_in_these_tables():
    """A new tensor initializer must be tested here."""
    public = {name for name in initializers.__all__ if fnmatch.fnmatch(name, "*_")}
    assert public == {name.partition("(")[0] for name in ALL | ONLY_FOR_KERNELS}


# Initializers of networks


class Network(nn.Module):
    """One layer of each kind that has its own rule."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(2, 4, 3)
        self.batch_norm = nn.BatchNorm2d(4)
        self.layer_norm = nn.LayerNorm([4, 4])  # gain and offset with two dimensions
        self.hidden1 = nn.Linear(4, 8)
        self.slope = nn.PReLU(8)
        self.output = nn.Linear(8, 3)


WEIGHTS = ["convolution.weight", "hidden1.weight", "output.weight"]
BIASES = ["convolution.bias", "hidden1.bias", "output.bias"]
OTHERS = [
    "batch_norm.weight",
    "batch_norm.bias",
    "layer_norm.weight",
    "layer_norm.bias",
    "slope.weight",
]
READY_MADE = {
    "zeros": (zeros, initializers.zeros_, initializers.zeros_),
    "ones": (ones, initializers.ones_, initializers.ones_),
    "he": (he, initializers.he_normal_, initializers.zeros_),
    "lecun": (lecun, initializers.lecun_normal_, initializers.zeros_),
    "glorot": (glorot, initializers.glorot_normal_, initializers.zeros_),
    "randn": (randn, initializers.randn_, initializers.zeros_),
    "identity": (identity, initializers.partial_identity_, initializers.zeros_),
    "hadamard": (hadamard, initializers.hadamard_, initializers.zeros_),
}
MARK = 7.0  # the value of untouched parameters; no initializer here writes it


def marked():
    """A network whose every parameter is MARK."""
    network = Network()
    for parameter in network.parameters():
        nn.init.constant_(parameter, MARK)
    return network


def start(initializer, seed=0):
    """The marked network's parameters by name, after the initializer."""
    network = marked()
    initializer(network, seeded(seed))
    return dict(network.named_parameters())


def start_by_hand(weights, biases):
    """The same result from a plain loop over the parameters in their order."""
    parameters, generator = dict(marked().named_parameters()), seeded()
    rules = dict.fromkeys(WEIGHTS, weights) | dict.fromkeys(BIASES, biases)
    for name in (name for name in parameters if name in rules):
        rules[name](parameters[name], generator)
    return parameters


def same(one, other):
    """Whether two networks' parameters are equal bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", READY_MADE)
def test_network_initializer_fills_parameters_in_their_order(name):
    """Weights and biases come from one generator, in the order of named_parameters."""
    initializer, weights, biases = READY_MADE[name]
    assert initializer.name == name
    assert same(start(initializer), start_by_hand(weights, biases))


def test_torch_default_leaves_everything_as_built():
    """torch_default changes no parameter."""
    assert same(start(torch_default), dict(marked().named_parameters()))


@pytest.mark.parametrize("parameter", OTHERS)
def test_normalizations_and_slopes_stay_as_built(parameter):
    """A parameter that is no weight and no bias next to one stays, whatever its dimensions."""
    assert start(zeros)[parameter].eq(MARK).all()


@pytest.mark.parametrize("parameter", BIASES)
def test_biases_without_a_rule_stay_as_built(parameter):
    """Without an initializer for biases, they keep the constructor's values."""
    assert start(every(zeros_))[parameter].eq(MARK).all()


def test_named_rule_wins_for_its_parameter_alone():
    """A rule by name fills that parameter and no other."""
    changed = start(torch_default.but("hidden1.weight", zeros_))
    assert {name for name, value in changed.items() if not value.eq(MARK).all()} == {
        "hidden1.weight"
    }
    assert changed["hidden1.weight"].eq(0).all()


def test_named_rule_reaches_normalizations():
    """A parameter that is not a weight is filled if a pattern names it."""
    assert start(torch_default.but("batch_norm.*", zeros_))["batch_norm.weight"].eq(0).all()


def test_later_rule_wins():
    """Of two patterns that match, the later one decides."""
    both = torch_default.but("*.weight", ones_).but("hidden1.*", zeros_)
    assert start(both)["hidden1.weight"].eq(0).all()
    assert start(both)["output.weight"].eq(1).all()


def test_rule_is_written_into_the_name():
    """The name contains each rule."""
    changed = torch_default.but("hidden1.weight", zeros_).but("*.bias", normal_(0.1))
    assert changed.name == "torch_default but hidden1.weight zeros_ but *.bias normal_(0.1)"


def test_rule_leaves_the_original_as_it_was():
    """`but` makes a copy."""
    torch_default.but("hidden1.weight", zeros_)
    assert torch_default == Initializer("torch_default")


def test_pattern_without_a_parameter_is_refused():
    """The error names the pattern and the parameters that there are."""
    with pytest.raises(InitializerError, match=r'"hidden9\..*no parameter. .*hidden1\.weight, '):
        start(torch_default.but("hidden9.weight", zeros_))


@pytest.mark.parametrize(
    ("initializer", "name"),
    [
        (every(normal_(0.1)), "normal_(0.1)"),
        (every(normal_(0.1), zeros_), "normal_(0.1), biases zeros_"),
        (every(normal_(0.1), zeros_, "small"), "small"),
    ],
    ids=["weights", "weights and biases", "own name"],
)
def test_every_is_named_after_what_it_does(initializer, name):
    """Without a custom name, an initializer is named after what it fills with."""
    assert initializer.name == name


def test_equal_initializers_are_equal_values():
    """Initializers can be compared and hashed, so that equal arms are trained once."""
    rebuilt = dataclasses.replace(zeros)
    assert len({zeros, rebuilt, every(normal_(0.1)), every(normal_(0.1))}) == 2


def test_attention_biases_count_as_biases():
    """Biases are found by their name and by the weights in their layer, not by its class."""
    attention = nn.MultiheadAttention(4, 2)
    nn.init.constant_(attention.in_proj_bias, MARK)
    zeros(attention, seeded())
    assert attention.in_proj_bias.eq(0).all()


PARAMETRIZATIONS = {
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
}


def parametrized(name):
    """A network whose middle layer's weight torch makes from other parameters."""
    layers = nn.Linear(3, 4), PARAMETRIZATIONS[name](nn.Linear(4, 4)), nn.Linear(4, 2)
    nn.init.constant_(layers[1].bias, MARK)
    return nn.Sequential(*layers)


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_biases_next_to_a_parametrized_weight_count_as_biases(name):
    """A layer has a weight even if its parameters are in a parametrization."""
    network = parametrized(name)
    he(network, seeded())
    assert network[1].bias.eq(0).all()


@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm"])
def test_a_start_that_a_parametrization_cannot_take_is_refused(name):
    """Zeros divided by their norm are 0/0: the error names the layer's weight."""
    with pytest.raises(InitializerError, match=r'"zeros" leaves 1\.weight with .* not finite'):
        zeros(parametrized(name), seeded())
    zeros(parametrized("orthogonal"), seeded())


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_reading_a_parametrized_weight_leaves_it_as_built(name):
    """That includes what changes with every read, such as the vectors of a spectral norm."""
    network = parametrized(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    torch_default(network, seeded())
    assert same(before, network.state_dict())
    assert all(module.training for module in network.modules())
