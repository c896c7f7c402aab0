"""Reparametrization: the same network in other numbers, whose start and learning rate go together.

A multiplier, a norm and a pair of ReLU layers each allow other weights for the same function. An
optimizer takes other steps there, unless its learning rate is changed by the rule for that
optimizer. All factors are powers of two, which commute with rounding, so arms are equal in bits.
"""

from collections import OrderedDict
from functools import partial

from torch import nn

from initcheck import SGD, Adam, Arm, Network, Recipe, claim, mlp
from initcheck.initializers import every, he, he_normal_, scaled_
from initcheck.probes import logit_difference, loss_difference
from initcheck.probes.differences import start_logit_difference

BATCH, STEPS = 32, 32
TIMES = 4.0  # the multiplier
RATE = 0.1  # of SGD
SMALL_RATE, EPS = 2**-7, 2**-26  # of Adam; its usual eps is 1e-8, or about 2^-26
EIGHT = 8.0  # one layer is multiplied by it and the next divided
FOUR = 4.0  # factor on weights before a norm
ONE_RATE = (("*", 1.0),)  # no factor, but the same engine as for arms with several rates


class Times(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        """The input, times the constant."""
        return self.factor * x


def multiplied(hidden=1.0, output=1.0):
    """784-64-64-10 without biases, with multipliers behind hidden layers and output."""
    layers = OrderedDict(flatten=nn.Flatten())
    for number, inputs in enumerate((784, 64), start=1):
        layers[f"hidden{number}"] = nn.Linear(inputs, 64, bias=False)
        layers[f"times{number}"] = Times(hidden)
        layers[f"relu{number}"] = nn.ReLU()
    layers["output"] = nn.Linear(64, 10, bias=False)
    layers["times3"] = Times(output)
    return nn.Sequential(layers)


def normalized():
    """784-64-10 with a layer norm without eps behind the hidden layer."""
    norm = nn.LayerNorm(64, eps=0.0, elementwise_affine=False)
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(), hidden=nn.Linear(784, 64, bias=False), norm=norm,
            relu=nn.ReLU(), output=nn.Linear(64, 10, bias=False),
        )
    )  # fmt: skip


NAME = "mlp 784-64-64-10 relu, no bias"
PLAIN = Network(f"{NAME}, x 1", multiplied)
HIDDEN_TIMES = Network(f"{NAME}, hidden x 4", partial(multiplied, TIMES))
ALL_TIMES = Network(f"{NAME}, each layer x 4", partial(multiplied, TIMES, TIMES))
NORMED = Network("mlp 784-64-10 relu, no bias, layer norm without eps", normalized)
TWO_LAYERS = mlp(784, 64, 10)
HIDDEN_QUARTER = he.but("hidden*", scaled_(he_normal_, 1 / TIMES))
QUARTER = every(scaled_(he_normal_, 1 / TIMES), name="He normal / 4")
SHIFTED = he.but("hidden*.weight", scaled_(he_normal_, EIGHT)).but(
    "output.weight", scaled_(he_normal_, 1 / EIGHT)
)


def by_sgd(*rates, steps=STEPS):
    """SGD, with factors on its rate by pattern of a parameter's name."""
    return Recipe(SGD(lr=RATE), BATCH, steps, rates=rates or ONE_RATE)


def by_adam(factor=1.0, eps=EPS):
    """Adam, with a factor on its rate."""
    return Recipe(Adam(lr=SMALL_RATE, eps=eps), BATCH, STEPS, rates=(("*", factor),))


@claim(
    source="abc-parametrizations, arXiv 2011.14522, section 2; gpt-neox issue 956; c-abc-symmetry",
    kind="exact",
)
def test_multiplier_is_undone_by_square_of_it_under_sgd(verdict):
    """A layer times 4 that starts at a quarter trains the same bits if SGD's rate is over 16.

    SGD's step is the gradient, which has the multiplier once, and the layer multiplies the step by
    it again. With Adam's rule, a rate over 4, training differs.
    """
    for difference in (loss_difference, logit_difference):
        verdict.equal(
            difference,
            treated=Arm(HIDDEN_TIMES, HIDDEN_QUARTER, by_sgd(("hidden*", TIMES**-2))),
            reference=Arm(PLAIN, he, by_sgd()),
            control=Arm(HIDDEN_TIMES, HIDDEN_QUARTER, by_sgd(("hidden*", 1 / TIMES))),
        )


@claim(
    source="abc-parametrizations, arXiv 2011.14522; TP V, arXiv 2203.03466; c-abc-symmetry",
    kind="exact",
)
def test_multiplier_is_undone_once_under_adam_with_its_eps(verdict):
    """Layers times 4 that start at a quarter train the same bits if Adam's rate is over 4.

    Adam divides a gradient by its own size, so only the step is multiplied. Its eps is compared
    with gradients, which are four times as large, so it must be as well. With SGD's rule, a rate
    over 16, or with the usual eps, training differs.
    """
    for case, control in {
        "": by_adam(TIMES**-2, EPS * TIMES), "usual eps": by_adam(1 / TIMES),
    }.items():  # fmt: skip
        verdict.equal(
            loss_difference,
            treated=Arm(ALL_TIMES, QUARTER, by_adam(1 / TIMES, EPS * TIMES)),
            reference=Arm(PLAIN, he, by_adam()),
            control=Arm(ALL_TIMES, QUARTER, control),
            case=case,
        )


@claim(
    source="van Laarhoven 2017, arXiv 1706.05350; c-scale-invariant-rate, b-bn-scale-free",
    kind="exact",
)
def test_weights_before_norm_set_its_learning_rate(verdict):
    """Weights before a norm, times 4, train the same bits if SGD's rate for them is times 16.

    The norm divides the scale of its inputs out, so the gradient is a quarter, and a relative step
    of the same size is 16 times a gradient. At one rate, a larger start learns more slowly. The
    norm has no eps.
    """
    for difference in (loss_difference, logit_difference):
        verdict.equal(
            difference,
            treated=Arm(NORMED, LARGE, by_sgd(("hidden*", FOUR**2))),
            reference=Arm(NORMED, he, by_sgd()),
            control=Arm(NORMED, LARGE, by_sgd()),
        )


LARGE = he.but("hidden*", scaled_(he_normal_, FOUR))


@claim(source="Dinh et al. 2017, arXiv 1703.04933; b-rescale-exact-then-not", kind="exact")
def test_rescaled_relu_layers_need_rescaled_rates(verdict):
    """ReLU layers times 8 and over 8 compute the same bits, and train so at other rates.

    The rates are times 64 and over 64. At one rate the same function trains elsewhere: the balance
    of layers matters to SGD.
    """
    rates = ("hidden*", EIGHT**2), ("output.weight", EIGHT**-2)
    verdict.equal(
        loss_difference,
        treated=Arm(TWO_LAYERS, SHIFTED, by_sgd(*rates)),
        reference=Arm(TWO_LAYERS, he, by_sgd()),
        control=Arm(TWO_LAYERS, SHIFTED, by_sgd()),
    )
    verdict.equal(
        start_logit_difference,
        treated=Arm(TWO_LAYERS, SHIFTED, by_sgd(steps=0)),
        reference=Arm(TWO_LAYERS, he, by_sgd(steps=0)),
        control=Arm(
            TWO_LAYERS, he.but("hidden*.weight", scaled_(he_normal_, EIGHT)), by_sgd(steps=0)
        ),
    )
